using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>
/// Stands between a client and the service and has every request and answer held against the OpenAPI document by Prism's validation
/// proxy: client -> relay -> Prism -> relay -> service.
/// <para>
/// Prism gets each exchange to see, not to carry: it reads bodies as UTF-8, which ruins images, and answers broken JSON itself. So the relay
/// sends it a legible copy, makes the real call when Prism calls through, and hands the client the service's answer, byte for byte.
/// </para>
/// </summary>
internal sealed class ContractRelay : IAsyncDisposable
{
    private const string Mark = "X-Exchange";
    private const string Violations = "sl-violations";

    private readonly WebApplication _relay;
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false });
    private readonly ConcurrentDictionary<string, Exchange> _open = new();
    private readonly ConcurrentQueue<Exchange> _seen = new();
    private readonly Uri _service;
    private Uri? _prismAddress;
    private ServiceProcess? _prism;

    private ContractRelay(Uri service)
    {
        _service = service;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        _relay = builder.Build();
        _relay.Run(context => context.Request.Headers[Mark] is [{ } mark] ? CarryAsync(context, _open[mark]) : ShowAsync(context));
    }

    /// <summary>For the client.</summary>
    public Uri Address => new(_relay.Urls.Single());

    /// <summary>The exchanges so far, in order.</summary>
    public IReadOnlyCollection<Exchange> Seen => _seen;

    /// <param name="document">The OpenAPI document's file.</param>
    public static async Task<ContractRelay> StartAsync(Uri service, string document)
    {
        var relay = new ContractRelay(service);
        await relay._relay.StartAsync();
        var port = Ports.Free();
        relay._prismAddress = new Uri($"http://127.0.0.1:{port}");
        relay._prism = NodeTools.Start("@stoplight/prism-cli/dist/index.js", "proxy", document, relay.Address.ToString(), "--port", $"{port}");
        await Eventually.IsTrueAsync(
            "Prism to listen",
            TimeSpan.FromMinutes(1),
            () => relay._prism.HasExited
                ? throw new InvalidOperationException($"Prism ended:\n{relay._prism.Output}")
                : Task.FromResult(relay._prism.Output.Contains("Prism is listening", StringComparison.Ordinal)));
        return relay;
    }

    public async ValueTask DisposeAsync()
    {
        if (_prism is not null)
            await _prism.DisposeAsync();
        await _relay.DisposeAsync();
        _http.Dispose();
    }

    /// <summary>The client's request: to Prism.</summary>
    private async Task ShowAsync(HttpContext context)
    {
        var exchange = await Exchange.ReadAsync(context.Request);
        var mark = $"{Guid.NewGuid():N}";
        _open[mark] = exchange;
        using (var request = exchange.ToLegibleRequest(_prismAddress!))
        {
            request.Headers.Add(Mark, mark);
            using var verdict = await _http.SendAsync(request);
            if (exchange.Answer is null)
                throw new InvalidOperationException($"Prism did not let {exchange} through: {await verdict.Content.ReadAsStringAsync()}");
            if (verdict.Headers.TryGetValues(Violations, out var violations))
                exchange.Found = Violation.Parse(violations.Single());
        }

        _open.TryRemove(mark, out _);
        _seen.Enqueue(exchange);
        await exchange.Answer.WriteAsync(context.Response);
    }

    /// <summary>Prism's own call: the real request to the service, whose answer Prism gets to see.</summary>
    private async Task CarryAsync(HttpContext context, Exchange exchange)
    {
        await context.Request.Body.CopyToAsync(Stream.Null);
        using var request = exchange.ToRequest(_service);
        using var response = await _http.SendAsync(request);
        exchange.Answer = await Answer.ReadAsync(response);
        await exchange.Answer.WriteAsync(context.Response);
    }
}

/// <summary>What Prism has found.</summary>
/// <param name="Location">request or response, and where in it.</param>
internal sealed record Violation(string Location, string Message)
{
    public bool IsOfRequest => Location.StartsWith("request", StringComparison.Ordinal);

    public static IReadOnlyList<Violation> Parse(string header)
    {
        // It is cut where it is too long.
        if (!header.StartsWith('['))
            return [new Violation("response", header)];
        using var json = JsonDocument.Parse(header);
        return [.. json.RootElement.EnumerateArray().Select(violation => new Violation(
            string.Join('.', violation.GetProperty("location").EnumerateArray()), violation.GetProperty("message").GetString()!))];
    }
}
