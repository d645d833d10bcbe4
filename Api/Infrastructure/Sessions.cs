using System.Buffers.Text;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace MlExperiments.Api.Infrastructure;

public sealed record SignInRequest
{
    /// <summary>The service's API key.</summary>
    [Required(ErrorMessage = "Give the API key, as the service was started with it in Security__ApiKey.")]
    public string? Key { get; init; }
}

/// <summary>
/// Lets a browser in that has shown the API key once: with a cookie that scripts can't read, that no other site makes it send (SameSite), and that is
/// good for 30 days, at any Api with the same key. It holds a time and a signature over it (HMAC-SHA256, RFC 2104) with a key derived from the API key
/// (HKDF, RFC 5869): another key ends all of them.
/// </summary>
/// <remarks>Cookies know no ports: every other service on the same host is sent it too, and could use it here. Only trusted ones belong there.</remarks>
internal static class Sessions
{
    public const string Path = "/api/session";

    private const string Cookie = "mlexperiments-session";

    private static readonly TimeSpan GoodFor = TimeSpan.FromDays(30);

    public static void MapSession(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup(Path).WithTags("Service");
        group.MapPost("/", SignIn)
            .WithSummary("Signs a browser in: with the API key, for a cookie")
            .WithDescription("For the page; other callers send the key with each call. Without an API key in the service's settings nobody needs to sign in, and nothing happens.")
            .WithExamples("""{"key": "the-key-of-this-service"}""")
            .WithExample(401, """{"title": "Unauthorized", "status": 401, "detail": "This is not the API key of this service."}""")
            .Fails(400, 413, 415);
        group.MapDelete("/", SignOut)
            .WithSummary("Signs a browser out")
            .WithDescription("Its cookie is removed; without one, nothing happens.")
            .WithExamples();
    }

    public static bool IsSignedIn(HttpRequest request, byte[] keyHash, DateTimeOffset now)
    {
        if (request.Cookies[Cookie]?.Split('.') is not [var until, var signature]
            || !long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || seconds < now.ToUnixTimeSeconds())
            return false;
        return CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(signature), Encoding.UTF8.GetBytes(Sign(until, keyHash)));
    }

    private static Results<NoContent, ProblemHttpResult> SignIn(SignInRequest request, HttpContext context, IOptions<SecurityOptions> security, TimeProvider clock)
    {
        if (AccessControl.KeyHash(security.Value) is not { } hash)
            return TypedResults.NoContent();
        if (!CryptographicOperations.FixedTimeEquals(AccessControl.Hash(request.Key!), hash))
            return TypedResults.Problem("This is not the API key of this service.", statusCode: StatusCodes.Status401Unauthorized);
        var until = (clock.GetUtcNow() + GoodFor).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        context.Response.Cookies.Append(Cookie, $"{until}.{Sign(until, hash)}", CookieFor(context, GoodFor));
        return TypedResults.NoContent();
    }

    private static NoContent SignOut(HttpContext context)
    {
        context.Response.Cookies.Delete(Cookie, CookieFor(context, null));
        return TypedResults.NoContent();
    }

    private static CookieOptions CookieFor(HttpContext context, TimeSpan? maxAge) =>
        new() { Path = "/", HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = context.Request.IsHttps, MaxAge = maxAge };

    private static string Sign(string until, byte[] keyHash)
    {
        var key = HKDF.DeriveKey(HashAlgorithmName.SHA256, keyHash, HMACSHA256.HashSizeInBytes, info: Encoding.UTF8.GetBytes(Cookie));
        return Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(until)));
    }
}
