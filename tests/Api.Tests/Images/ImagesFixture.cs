using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Tests.Images;

/// <summary>What tests about images share: models, small images of their own, zips, uploads.</summary>
public abstract class ImagesFixture : ApiFixture
{
    /// <summary>A new model without images, of 28 x 28 grey.</summary>
    protected async Task<Guid> NewModelAsync()
    {
        var response = await Client.PostAsJsonAsync("/api/models", new { name = $"{Guid.NewGuid()}" });
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        return (await JsonAsync(response)).GetProperty("id").GetGuid();
    }

    /// <summary>A PNG that no other seed gives.</summary>
    protected static byte[] Png(int seed)
    {
        var pixels = new byte[64];
        new Random(seed).NextBytes(pixels);
        return PngWriter.Encode(pixels, new ImageShape(8, 8, 1));
    }

    protected static byte[] Zip(params (string Path, byte[] Content)[] entries) => Zip(CompressionLevel.Fastest, entries);

    protected static byte[] Zip(CompressionLevel level, params (string Path, byte[] Content)[] entries)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (path, content) in entries)
            {
                using var stream = zip.CreateEntry(path, level).Open();
                stream.Write(content);
            }
        }

        return bytes.ToArray();
    }

    /// <summary>A form whose parts come in the given order; strings are fields, bytes are files.</summary>
    protected static MultipartFormDataContent Form(params (string Name, object Value)[] parts)
    {
        var form = new MultipartFormDataContent();
        foreach (var (name, value) in parts)
        {
            if (value is byte[] file)
                form.Add(new ByteArrayContent(file), "files", name);
            else
                form.Add(new StringContent((string)value), name);
        }

        return form;
    }

    protected Task<HttpResponseMessage> PostAsync(Guid model, params (string Name, object Value)[] parts) =>
        Client.PostAsync($"/api/models/{model}/images", Form(parts));

    protected async Task<Answer> UploadAsync(Guid model, params (string Name, object Value)[] parts)
    {
        using var response = await PostAsync(model, parts);
        return await AnswerAsync(response);
    }

    protected static async Task<Answer> AnswerAsync(HttpResponseMessage response)
    {
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<Answer>())!;
    }

    protected async Task<IReadOnlyList<JsonElement>> ListAsync(Guid model, string query = "limit=500") =>
        [.. (await Client.GetFromJsonAsync<JsonElement>($"/api/models/{model}/images?{query}")).GetProperty("items").EnumerateArray()];

    protected static string HashOf(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    protected static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    protected sealed record Answer(int Accepted, int Duplicates, Refusal[] Refused, int RefusedCount)
    {
        public (int, int, int) Counts => (Accepted, Duplicates, RefusedCount);

        public string ReasonFor(string file) => Refused.Single(refusal => refusal.File == file).Reason;
    }

    protected sealed record Refusal(string File, string Reason);
}
