using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;

namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>One request and what became of it.</summary>
internal sealed class Exchange
{
    // These belong to a connection, not to a request.
    private static readonly string[] OfTheConnection = ["Host", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Keep-Alive"];

    private readonly string _method;
    private readonly string _path;
    private readonly List<(string Name, string?[] Values)> _headers;
    private readonly byte[] _body;

    private Exchange(HttpRequest request, byte[] body)
    {
        _method = request.Method;
        _path = request.GetEncodedPathAndQuery();
        _headers = [.. request.Headers.Where(header => !OfTheConnection.Contains(header.Key, StringComparer.OrdinalIgnoreCase))
            .Select(header => (header.Key, header.Value.ToArray()))];
        _body = body;
    }

    public Answer? Answer { get; set; }

    public IReadOnlyList<Violation> Found { get; set; } = [];

    private bool IsJson => _headers.Any(header => header.Name == "Content-Type" && header.Values is [{ } type] && type.StartsWith("application/json", StringComparison.Ordinal));

    public static async Task<Exchange> ReadAsync(HttpRequest request)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        return new Exchange(request, body.ToArray());
    }

    public HttpRequestMessage ToRequest(Uri server) => ToRequest(server, _body);

    /// <summary>The same with a body that is text: of the same length, and JSON where it should be.</summary>
    public HttpRequestMessage ToLegibleRequest(Uri server) =>
        ToRequest(server, IsJson && !IsValidJson() ? "{}"u8.ToArray() : [.. _body.Select(value => value < 0x80 ? value : (byte)'.')]);

    public override string ToString() => $"{_method} {_path}";

    private HttpRequestMessage ToRequest(Uri server, byte[] body)
    {
        var request = new HttpRequestMessage(new HttpMethod(_method), new Uri(server, _path));
        if (body.Length > 0 || _headers.Exists(header => header.Name == "Content-Type"))
            request.Content = new ByteArrayContent(body);
        foreach (var (name, values) in _headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, values))
                request.Content?.Headers.TryAddWithoutValidation(name, values);
        }

        return request;
    }

    private bool IsValidJson()
    {
        try
        {
            using var json = JsonDocument.Parse(_body);
            return true;
        }
        catch (JsonException)
        {
            return _body.Length == 0;
        }
    }
}

/// <summary>What the service answered.</summary>
internal sealed record Answer(int Status, IReadOnlyList<(string Name, string[] Values)> Headers, byte[] Body)
{
    public static async Task<Answer> ReadAsync(HttpResponseMessage response) => new(
        (int)response.StatusCode,
        [.. response.Headers.Concat(response.Content.Headers).Where(header => header.Key is not ("Transfer-Encoding" or "Connection" or "Date" or "Server"))
            .Select(header => (header.Key, header.Value.ToArray()))],
        await response.Content.ReadAsByteArrayAsync());

    public async Task WriteAsync(HttpResponse response)
    {
        response.StatusCode = Status;
        foreach (var (name, values) in Headers)
            response.Headers[name] = values;
        if (Body.Length > 0)
            await response.Body.WriteAsync(Body);
    }
}
