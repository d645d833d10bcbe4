using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Api.Images;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Tests.Images;

public sealed class DataSetVersionsTests : ImagesFixture
{
    private IBlobStore Blobs => Services.GetRequiredService<IBlobStore>();

    [Test]
    public async Task Current_AskedTwice_IsTheSameVersion()
    {
        var model = await NewModelAsync(images: 20);
        var version = await CurrentAsync(model);
        Assert.That((await CurrentAsync(model)).Id, Is.EqualTo(version.Id));
    }

    [Test]
    public async Task Current_FromManyAtOnce_IsOneVersion()
    {
        var model = await NewModelAsync(images: 20);
        var versions = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => CurrentAsync(model)));
        Assert.That(versions.Select(version => version.Id).Distinct().Count(), Is.EqualTo(1));
    }

    [Test]
    public async Task Current_Manifest_LeadsToEveryImagesBytes()
    {
        var model = await NewModelAsync(images: 20);
        var version = await CurrentAsync(model);
        var manifest = DataSetManifest.Open(await Blobs.GetPathAsync(version.ManifestBlob, default));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(manifest.Hash, Is.EqualTo(version.Hash));
            Assert.That(version.Classes, Is.EqualTo(new[] { "0", "1", "2" }));
            Assert.That(version.TrainCount + version.ValidationCount, Is.EqualTo(20));
        }

        for (var row = 0; row < manifest.Count; row++)
        {
            var (pack, offset, length) = manifest.Location(row);
            var bytes = new byte[length];
            await using var stream = await Blobs.OpenReadAsync(manifest.Packs[pack], offset, length, default);
            await stream.ReadExactlyAsync(bytes);
            Assert.That(HashOf(bytes), Is.EqualTo(Convert.ToHexStringLower(manifest.Sha256(row))));
        }
    }

    [Test]
    public async Task Current_AfterAChange_IsAnotherVersionAndBackTheOldOne()
    {
        var model = await NewModelAsync(images: 20);
        var before = await CurrentAsync(model);
        await using var db = Database.NewContext();
        var image = await db.Images.FirstAsync(image => image.ModelId == model && image.Label == "0");
        image.Label = "2";
        await db.SaveChangesAsync();
        var changed = await CurrentAsync(model);
        image.Label = "0";
        await db.SaveChangesAsync();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(changed.Id, Is.Not.EqualTo(before.Id));
            Assert.That((await CurrentAsync(model)).Id, Is.EqualTo(before.Id));
        }
    }

    [TestCase(0, "no images")]
    [TestCase(1, "\"0\"")]
    public async Task Current_TooFewImages_SaysWhatIsMissing(int images, string reason)
    {
        await using var db = Database.NewContext();
        var model = await NewModelAsync(images);
        var (manifest, missing) = await DataSetVersions.ReadManifestAsync(db, model, default);
        Assert.That(manifest, Is.Null);
        Assert.That(missing, Does.Contain(reason));
    }

    [Test]
    public async Task Keep_ModelDeletedMeanwhile_IsNull()
    {
        await using var db = Database.NewContext();
        var id = await NewModelAsync(images: 5);
        var model = await db.Models.SingleAsync(row => row.Id == id);
        // What is read first is read; the version's row is what comes too late.
        await using var other = Database.NewContext();
        var (manifest, _) = await DataSetVersions.ReadManifestAsync(db, id, default);
        Assert.That(await DataSetVersions.KeepAsync(db, new DeletingStore(Blobs, other, id), model, manifest!, default), Is.Null);
    }

    private async Task<Guid> NewModelAsync(int images)
    {
        var model = await NewModelAsync();
        if (images > 0)
            await UploadAsync(model, ("x.zip", Zip([.. Enumerable.Range(0, images).Select(seed => ($"{seed % 3}/{seed}.png", Png(seed)))])));
        return model;
    }

    private async Task<DataSetVersion> CurrentAsync(Guid id)
    {
        await using var db = Database.NewContext();
        var (manifest, reason) = await DataSetVersions.ReadManifestAsync(db, id, default);
        Assert.That(reason, Is.Null);
        return (await DataSetVersions.KeepAsync(db, Blobs, await db.Models.SingleAsync(model => model.Id == id), manifest!, default))!;
    }

    /// <summary>Deletes the model at the moment when the manifest is stored.</summary>
    private sealed class DeletingStore(IBlobStore inner, ExperimentsDbContext db, Guid model) : IBlobStore
    {
        public async Task<BlobReference> PutAsync(Stream content, CancellationToken cancellationToken)
        {
            await db.Models.Where(row => row.Id == model).ExecuteDeleteAsync(cancellationToken);
            return await inner.PutAsync(content, cancellationToken);
        }

        public Task<Stream> OpenReadAsync(string hash, long offset, long? length, CancellationToken cancellationToken) =>
            inner.OpenReadAsync(hash, offset, length, cancellationToken);

        public Task<string> GetPathAsync(string hash, CancellationToken cancellationToken) => inner.GetPathAsync(hash, cancellationToken);

        public Task<bool> ExistsAsync(string hash, CancellationToken cancellationToken) => inner.ExistsAsync(hash, cancellationToken);

        public IAsyncEnumerable<BlobReference> ListAsync(DateTimeOffset before, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<bool> DeleteAsync(string hash, DateTimeOffset before, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task DeleteAsync(string hash, CancellationToken cancellationToken) => inner.DeleteAsync(hash, cancellationToken);

        public Task ProbeAsync(CancellationToken cancellationToken) => inner.ProbeAsync(cancellationToken);
    }
}
