using System.Net;
using Microsoft.Extensions.Configuration;
using MlExperiments.Api.Infrastructure;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class AccessControlTests : ApiFixture
{
    private const string Key = "0123456789abcdef";

    protected override IEnumerable<KeyValuePair<string, string>> Settings => [new("Security:ApiKey", Key)];

    [TestCase("/api/models", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/api/events", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/api/nothing", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/API/models", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/swagger/v1/swagger.json", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/hangfire", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/hangfire/jobs/enqueued", null, null, HttpStatusCode.Unauthorized)]
    [TestCase("/health/live", null, null, HttpStatusCode.OK)]
    [TestCase("/api/models", "Authorization", "Bearer " + Key, HttpStatusCode.OK)]
    [TestCase("/api/models", "X-Api-Key", Key, HttpStatusCode.OK)]
    [TestCase("/hangfire", "Authorization", "Basic dXNlcjowMTIzNDU2Nzg5YWJjZGVm", HttpStatusCode.OK)]
    [TestCase("/api/models", "Authorization", "Basic dXNlcjowMTIzNDU2Nzg5YWJjZGVm", HttpStatusCode.OK)]
    [TestCase("/api/models", "Authorization", "Basic !", HttpStatusCode.Unauthorized)]
    [TestCase("/api/models", "Authorization", "Bearer 0123456789abcdeF", HttpStatusCode.Unauthorized)]
    [TestCase("/api/models", "X-Api-Key", "", HttpStatusCode.Unauthorized)]
    public async Task Call_WithAKey_IsLetInByIt(string path, string? header, string? value, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (header is not null)
            request.Headers.TryAddWithoutValidation(header, value);
        var response = await Client.SendAsync(request);

        if (status == HttpStatusCode.Unauthorized)
            await ProblemAsync(response, status);
        Assert.That(response.StatusCode, Is.EqualTo(status));
    }

    [Test]
    public async Task Upload_WithoutTheKey_IsRefusedWithoutCuttingTheSenderOff()
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(new byte[32 * 1024 * 1024]), "files", "digits.zip" } };

        await ProblemAsync(await Client.PostAsync($"/api/models/{Guid.NewGuid()}/images", form), HttpStatusCode.Unauthorized);
    }

    [TestCase("empty", false)]
    [TestCase("document", true)]
    [TestCase(null, true)]
    public async Task Refusal_OfWhatAScriptFetches_LeavesTheAskingToThePage(string? destination, bool asks)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/models");
        if (destination is not null)
            request.Headers.TryAddWithoutValidation("Sec-Fetch-Dest", destination);
        using var response = await Client.SendAsync(request);

        Assert.That(response.Headers.WwwAuthenticate.Any(way => way.Scheme == "Basic"), Is.EqualTo(asks));
    }

    [TestCase("http://127.0.0.1:8080", true)]
    [TestCase("http://localhost:8080", true)]
    [TestCase("http://[::1]:8080", true)]
    [TestCase("http://unix:/run/api.sock", true)]
    [TestCase("http://0.0.0.0:8080", false)]
    [TestCase("http://*:8080", false)]
    [TestCase("http://+:8080", false)]
    [TestCase("http://[::]:8080", false)]
    [TestCase("http://example.org:8080", false)]
    public void Address_Configured_IsLoopbackOnlyWhereNobodyElseReachesIt(string address, bool loopback) =>
        Assert.That(Security.IsLoopback(address), Is.EqualTo(loopback));

    [Test]
    public void Addresses_OfSeveralSettings_AreAllSeen() => Assert.That(
        Security.ListeningAddresses(new ConfigurationManager
        {
            ["urls"] = "http://0.0.0.0:1", ["Kestrel:Endpoints:Own:Url"] = "http://127.0.0.1:2", ["PREFERHOSTINGURLS"] = "true",
        }),
        Is.EquivalentTo(new[] { "http://0.0.0.0:1", "http://127.0.0.1:2" }));

    [TestCase("urls", "http://127.0.0.1:1;http://0.0.0.0:2", new[] { "http://127.0.0.1:1", "http://0.0.0.0:2" })]
    [TestCase("http_ports", "8080", new[] { "http://*:8080" })]
    [TestCase("Kestrel:Endpoints:Open:Url", "http://0.0.0.0:3", new[] { "http://0.0.0.0:3" })]
    public void Addresses_OfEveryKindOfSetting_AreSeen(string key, string value, string[] addresses) =>
        Assert.That(Security.ListeningAddresses(new ConfigurationManager { [key] = value }), Is.EqualTo(addresses));
}

public sealed class HostNameTests : ApiFixture
{
    [Test]
    public async Task Call_UnderAnotherNameWithoutAKey_Gives403()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/models");
        request.Headers.Host = "rebound.example";

        await ProblemAsync(await Client.SendAsync(request), HttpStatusCode.Forbidden);
    }
}
