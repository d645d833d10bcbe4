using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using MlExperiments.Api.Tests.Images;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class CompressionTests : ImagesFixture
{
    [TestCase("gzip")]
    [TestCase("br")]
    public async Task List_ForWhomTakesPacked_IsPacked(string encoding)
    {
        var model = await Database.ModelAsync();
        var plain = await Client.GetByteArrayAsync($"/api/models/{model}/images");

        using var response = await GetAsync($"/api/models/{model}/images", encoding);
        var packed = await response.Content.ReadAsByteArrayAsync();

        Assert.That(response.Content.Headers.ContentEncoding, Is.EqualTo(new[] { encoding }));
        Assert.That(response.Headers.Vary, Does.Contain("Accept-Encoding"));
        Assert.That(response.Headers.CacheControl?.NoStore, Is.True);
        Assert.That(packed, Has.Length.LessThan(plain.Length / 2));
        using var bytes = new MemoryStream(packed);
        await using Stream unpacked = encoding == "br" ? new BrotliStream(bytes, CompressionMode.Decompress) : new GZipStream(bytes, CompressionMode.Decompress);
        Assert.That((await JsonDocument.ParseAsync(unpacked)).RootElement.GetRawText(), Is.EqualTo(System.Text.Encoding.UTF8.GetString(plain)));
    }

    [Test]
    public async Task Problem_ForWhomTakesPacked_IsPackedAndStillAProblem()
    {
        using var response = await GetAsync("/api/models?limit=0", "gzip");

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/problem+json"));
        Assert.That(response.Content.Headers.ContentEncoding, Is.EqualTo(new[] { "gzip" }));
    }

    [Test]
    public async Task Head_OfAList_AnswersAsGetWithoutTheBody()
    {
        using var response = await GetAsync("/api/models", "gzip", method: HttpMethod.Head);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/json"));
        Assert.That(await response.Content.ReadAsByteArrayAsync(), Is.Empty);
    }

    [Test]
    public async Task Image_ForWhomTakesPacked_GoesAsItIsWithItsTag()
    {
        var (model, file) = (await NewModelAsync(), Png(1));
        await UploadAsync(model, ("label", "cat"), ("a.png", file));
        var path = (await ListAsync(model))[0].GetProperty("content").GetString()!;

        using var whole = await GetAsync(path, "gzip");
        using var head = await GetAsync(path, "gzip", method: HttpMethod.Head);
        using var again = await GetAsync(path, "gzip", known: whole.Headers.ETag);

        Assert.That(whole.Content.Headers.ContentEncoding, Is.Empty);
        Assert.That(await whole.Content.ReadAsByteArrayAsync(), Is.EqualTo(file));
        Assert.That(head.Content.Headers.ContentLength, Is.EqualTo(file.Length));
        Assert.That(head.Headers.ETag, Is.EqualTo(whole.Headers.ETag));
        Assert.That(again.StatusCode, Is.EqualTo(HttpStatusCode.NotModified));
        Assert.That(again.Headers.ETag, Is.EqualTo(whole.Headers.ETag));
    }

    private Task<HttpResponseMessage> GetAsync(string path, string encoding, HttpMethod? method = null, EntityTagHeaderValue? known = null)
    {
        var request = new HttpRequestMessage(method ?? HttpMethod.Get, path);
        request.Headers.AcceptEncoding.ParseAdd(encoding);
        if (known is not null)
            request.Headers.IfNoneMatch.Add(known);
        return Client.SendAsync(request);
    }
}
