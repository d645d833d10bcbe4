using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using Microsoft.AspNetCore.Http.HttpResults;
using MlExperiments.Api.Workers;

namespace MlExperiments.Api.Infrastructure;

/// <summary>
/// Lets in whoever may call. A page of another site that the user has open may not, with or without a key: neither by a
/// request of its own (cross-site) nor by a name of its own that points to this machine (the Host check).
/// </summary>
internal static class AccessControl
{
    private static readonly string[] Guarded = ["/api", "/swagger", JobDashboard.Path, "/health/ready"];

    public static void UseAccessControl(this WebApplication app)
    {
        var hash = KeyHash(app.Services.GetRequiredService<IOptions<SecurityOptions>>().Value);
        var clock = app.Services.GetRequiredService<TimeProvider>();
        app.Use((context, next) => Refusal(context, hash, clock) is { } refusal ? refusal.ExecuteAsync(context) : next(context));
    }

    /// <summary>Null where there is no key.</summary>
    public static byte[]? KeyHash(SecurityOptions options) => string.IsNullOrEmpty(options.ApiKey) ? null : Hash(options.ApiKey);

    /// <summary>Keys are compared by their hashes, which are of one length.</summary>
    public static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    private static ProblemHttpResult? Refusal(HttpContext context, byte[]? keyHash, TimeProvider clock)
    {
        var request = context.Request;
        if (IsCrossSite(request))
            return TypedResults.Problem(
                "This request comes from a page of another site, which may not change anything here.", statusCode: StatusCodes.Status403Forbidden);
        if (keyHash is null)
            return !request.Host.HasValue || Security.IsLoopbackHost(request.Host.Host)
                ? null
                : TypedResults.Problem(
                    $"Without an API key, the service answers only as localhost, not as {request.Host.Host}: set Security__ApiKey to serve it under a name.",
                    statusCode: StatusCodes.Status403Forbidden);

        if (!Guarded.Any(path => request.Path.StartsWithSegments(path, StringComparison.OrdinalIgnoreCase))
            || request.Path.Equals(Sessions.Path, StringComparison.OrdinalIgnoreCase))
            return null;
        if (PresentedKey(request) is { } presented && CryptographicOperations.FixedTimeEquals(Hash(presented), keyHash))
            return null;
        if (Sessions.IsSignedIn(request, keyHash, clock.GetUtcNow()))
            return null;
        // Basic lets a browser ask for the key, as the password, where nothing else can: the page asks itself for what its scripts fetch.
        string[] ways = request.Headers["Sec-Fetch-Dest"] == "empty" ? ["Bearer"] : ["Bearer", "Basic realm=\"ML Experiments\", charset=\"UTF-8\""];
        context.Response.Headers.WWWAuthenticate = ways;
        return TypedResults.Problem(
            "This call needs the API key: send it as \"Authorization: Bearer <key>\" or \"X-Api-Key: <key>\".",
            statusCode: StatusCodes.Status401Unauthorized);
    }

    private static bool IsCrossSite(HttpRequest request)
    {
        if (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method))
            return false;
        if (request.Headers["Sec-Fetch-Site"] is [{ } site])
            return site is not ("same-origin" or "none");
        return request.Headers.Origin is [{ } origin]
            && !(Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase));
    }

    private static string? PresentedKey(HttpRequest request)
    {
        if (request.Headers["X-Api-Key"] is [{ Length: > 0 } header])
            return header;
        if (request.Headers.Authorization is not [{ } authorization])
            return null;
        if (authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            return authorization["Bearer ".Length..].Trim();
        if (!authorization.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
            return null;
        var encoded = authorization["Basic ".Length..].Trim();
        var buffer = new byte[encoded.Length];
        return Convert.TryFromBase64String(encoded, buffer, out var length)
            && Encoding.UTF8.GetString(buffer, 0, length).Split(':', 2) is [_, var password]
                ? password
                : null;
    }
}
