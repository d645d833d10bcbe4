using System.Net;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class ErrorTests : ApiFixture
{
    [TestCase("/api/nothing")]
    [TestCase("/api/models/not-an-id")]
    [TestCase("/api/models/01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d")]
    public async Task Get_WhatIsNotThere_Gives404InWords(string path) =>
        await ProblemAsync(await Client.GetAsync(path), HttpStatusCode.NotFound);

    [Test]
    public async Task Post_MegabytesOfJson_IsRefusedWithoutCuttingTheSenderOff()
    {
        using var body = new ByteArrayContent(new byte[32 * 1024 * 1024]) { Headers = { ContentType = new("application/json") } };
        var problem = await ProblemAsync(await Client.PostAsync("/api/models", body), HttpStatusCode.RequestEntityTooLarge);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("1048576 bytes"));
    }

    [Test]
    public async Task Upload_ToAModelThatIsGone_IsRefusedWithoutCuttingTheSenderOff()
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(new byte[32 * 1024 * 1024]), "files", "digits.zip" } };

        await ProblemAsync(await Client.PostAsync($"/api/models/{Guid.NewGuid()}/images", form), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Live_Asked_Answers()
    {
        var response = await Client.GetAsync("/health/live");

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(response.Headers.GetValues("X-Content-Type-Options"), Is.EqualTo(new[] { "nosniff" }));
    }

    [Test]
    public async Task Ready_WithoutAWorker_SaysWhichCheckFailed()
    {
        var response = await Client.GetAsync("/health/ready");

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        var checks = (await JsonAsync(response)).GetProperty("checks").EnumerateArray()
            .ToDictionary(check => check.GetProperty("name").GetString()!, check => check.GetProperty("status").GetString());
        Assert.That(checks["database"], Is.EqualTo("ok"));
        Assert.That(checks["blobs"], Is.EqualTo("ok"));
        Assert.That(checks["workers"], Is.EqualTo("failed"));
    }
}
