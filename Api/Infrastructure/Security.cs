using System.ComponentModel.DataAnnotations;
using System.Net;

namespace MlExperiments.Api.Infrastructure;

public sealed class SecurityOptions
{
    public const string Section = "Security";
    public const int MinApiKeyLength = 16;

    /// <summary>What callers must send; needed as soon as others than this machine can connect. At least 16 characters.</summary>
    [MinLength(MinApiKeyLength)]
    public string? ApiKey { get; init; }
}

/// <summary>Who may call: everybody on this machine, or whoever knows the key.</summary>
internal static class Security
{
    public const string DefaultAddress = "http://127.0.0.1:8080";

    /// <summary>Returns why the service must not start as configured, or null.</summary>
    public static string? AddSecurity(this WebApplicationBuilder builder)
    {
        var addresses = ListeningAddresses(builder.Configuration);
        if (addresses.Find(address => BindingAddress.Parse(address).Port > IPEndPoint.MaxPort) is { } beyond)
            return $"The address {beyond} has no port of 0 to {IPEndPoint.MaxPort}.";
        if (addresses.Count == 0)
            builder.WebHost.UseUrls(DefaultAddress);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = RequestChecks.MaxJsonBytes;
        });

        var key = builder.Configuration[$"{SecurityOptions.Section}:{nameof(SecurityOptions.ApiKey)}"];
        builder.Services.AddOptions<SecurityOptions>().BindConfiguration(SecurityOptions.Section).ValidateDataAnnotations();
        const string HowTo = "set Security__ApiKey to a secret of at least 16 characters, for example the output of \"openssl rand -hex 24\"";
        if (string.IsNullOrEmpty(key))
            return addresses.FirstOrDefault(address => !IsLoopback(address)) is { } open
                ? $"The address {open} can be reached from other machines, and there is no API key: {HowTo}, or listen on {DefaultAddress} only."
                : null;
        // Anything else would be cut off or changed on its way in a header.
        if (key.Any(letter => letter is <= ' ' or > '~'))
            return $"The API key has blanks or characters beyond ASCII: {HowTo}.";
        return key.Length < SecurityOptions.MinApiKeyLength ? $"The API key is too short: {HowTo}." : null;
    }

    /// <summary>
    /// Every address that the host's settings name; none means the default. All of them, although some settings override others: which do is
    /// the server's affair and depends on a further setting.
    /// </summary>
    internal static List<string> ListeningAddresses(IConfiguration configuration)
    {
        var urls = Words("urls");
        return
        [
            .. configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]).OfType<string>(),
            .. urls,
            // Ports alone give way to addresses always.
            .. urls.Length > 0 ? [] : Words("http_ports").Select(port => $"http://*:{port}"),
            .. urls.Length > 0 ? [] : Words("https_ports").Select(port => $"https://*:{port}"),
        ];

        string[] Words(string name) =>
            configuration[name]?.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
    }

    /// <summary>Kestrel takes a name that is neither an address nor localhost for every address there is.</summary>
    internal static bool IsLoopback(string address)
    {
        var parsed = BindingAddress.Parse(address);
        return parsed.IsUnixPipe || parsed.IsNamedPipe || IsLoopbackHost(parsed.Host);
    }

    internal static bool IsLoopbackHost(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));

    public static void UseSecurityHeaders(this WebApplication app) => app.Use((context, next) =>
    {
        // On starting: an error on the way clears what was set before.
        context.Response.OnStarting(() =>
        {
            var headers = context.Response.Headers;
            headers.XContentTypeOptions = "nosniff";
            headers.XFrameOptions = "DENY";
            headers["Referrer-Policy"] = "no-referrer";
            // Swagger UI sets its first values from an inline script and style; a document of its own has a policy of its own.
            if (headers.ContentSecurityPolicy.Count == 0)
                headers.ContentSecurityPolicy = context.Request.Path.StartsWithSegments("/swagger", StringComparison.OrdinalIgnoreCase)
                    ? "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
                    : ClientPage.Policy(context);
            if (context.Request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase) && headers.CacheControl.Count == 0)
                headers.CacheControl = "no-store";
            return Task.CompletedTask;
        });
        return next(context);
    });
}
