using System.Text;

namespace MlExperiments.Api.Tests.Endpoints;

/// <summary>Makes a request's body anew for each time that it is sent.</summary>
internal delegate HttpContent Body(Things things);

/// <summary>One way to make a call, and the answer to it.</summary>
/// <param name="Fields">What <c>errors</c> names, with commas between them; empty where it isn't about fields.</param>
/// <param name="Words">For the table.</param>
/// <param name="Of">Which of the <see cref="Things"/> stands in the path.</param>
internal sealed record Case(int Status, string Fields, string Words, Body? Body, string Query, string Of);

/// <summary>An operation: how it is called well, and wrong.</summary>
/// <param name="operation">Its method and path, as the OpenAPI document has them.</param>
/// <param name="of">Which of the <see cref="Things"/> stands in its path, unless a case says otherwise.</param>
internal sealed class Call(string operation, string of = "")
{
    private readonly List<Case> _cases = [];

    public string Operation { get; } = operation;

    public HttpMethod Method => new(Operation.Split(' ')[0]);

    public string Path => Operation.Split(' ')[1];

    public IEnumerable<Case> Goods => _cases.Where(made => made.Status < 400);

    public IEnumerable<Case> Bads => _cases.Where(made => made.Status >= 400);

    public Call Good(int status, string words, Body? body = null, string query = "", string? of = null) => Add(new(status, "", words, body, query, of ?? DefaultThing));

    public Call Bad(int status, string fields, string words, Body? body = null, string query = "", string? of = null) =>
        Add(new(status, fields, words, body, query, of ?? DefaultThing));

    public override string ToString() => Operation;

    private string DefaultThing { get; } = of;

    private Call Add(Case made)
    {
        _cases.Add(made);
        return this;
    }
}

internal static class Bodies
{
    /// <summary>A JSON body as it stands, but for the <see cref="Things"/> that it names.</summary>
    public static Body Json(string json) => things => new StringContent(things.Fill(json), Encoding.UTF8, "application/json");

    public static Body Text(string text) => _ => new StringContent(text, Encoding.UTF8, "text/plain");

    /// <summary>A form; bytes are a file.</summary>
    public static Body Form(params (string Name, object Value)[] parts) => things =>
    {
        var form = new MultipartFormDataContent();
        foreach (var (name, value) in parts)
        {
            if (value is byte[] file)
                form.Add(new ByteArrayContent(file), name, "digit.png");
            else
                form.Add(new StringContent(things.Fill((string)value)), name);
        }

        return form;
    };
}
