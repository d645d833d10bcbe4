using System.Buffers.Text;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class SessionsTests : ApiFixture
{
    private const string Key = "0123456789abcdef";

    protected override IEnumerable<KeyValuePair<string, string>> Settings => [new("Security:ApiKey", Key)];

    [Test]
    public async Task Browser_SignedInWithTheKey_IsLetInByItsCookie_UntilItSignsOut()
    {
        // Cookies are sent by hand here.
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false }) { BaseAddress = Client.BaseAddress };
        await ProblemAsync(await SignInAsync(client, "0123456789abcdeF"), HttpStatusCode.Unauthorized);
        await InvalidAsync(await client.PostAsJsonAsync("/api/session", new { }), "key");
        var signedIn = await SignInAsync(client, Key);
        Assert.That(signedIn.StatusCode, Is.EqualTo(HttpStatusCode.NoContent));
        var cookie = signedIn.Headers.GetValues("Set-Cookie").Single();
        Assert.That(cookie, Does.Contain("httponly").IgnoreCase.And.Contain("samesite=strict").IgnoreCase.And.Contain("max-age=2592000").IgnoreCase);
        Assert.That(cookie, Does.Not.Contain(Key));

        var value = cookie.Split(';')[0];
        Assert.That(await StatusAsync(client, value), Is.EqualTo(HttpStatusCode.OK));
        // Neither a longer time, nor a signature of somebody else's.
        var (name, until, signature) = (value.Split('=')[0], value.Split('=')[1].Split('.')[0], value.Split('.')[1]);
        Assert.That(await StatusAsync(client, $"{name}={long.Parse(until) + 1}.{signature}"), Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That(await StatusAsync(client, $"{name}={until}.{signature[..^2]}AA"), Is.EqualTo(HttpStatusCode.Unauthorized));
        var bare = Base64Url.EncodeToString(HMACSHA256.HashData(SHA256.HashData(Encoding.UTF8.GetBytes(Key)), Encoding.UTF8.GetBytes(until)));
        Assert.That(await StatusAsync(client, $"{name}={until}.{bare}"), Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That(await StatusAsync(client, $"{name}="), Is.EqualTo(HttpStatusCode.Unauthorized));

        var signedOut = await client.DeleteAsync("/api/session");
        Assert.That(signedOut.Headers.GetValues("Set-Cookie").Single(), Does.Contain("expires=Thu, 01 Jan 1970").IgnoreCase);
    }

    private static Task<HttpResponseMessage> SignInAsync(HttpClient client, string key) => client.PostAsJsonAsync("/api/session", new { key });

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, string cookie)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/models");
        request.Headers.TryAddWithoutValidation("Cookie", cookie);
        using var response = await client.SendAsync(request);
        return response.StatusCode;
    }
}
