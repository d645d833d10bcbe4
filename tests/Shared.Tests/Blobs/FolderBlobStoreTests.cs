using MlExperiments.Shared.Blobs;
using MlExperiments.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MlExperiments.Shared.Tests.Blobs;

public sealed class FolderBlobStoreTests : BlobStoreConformance
{
    private TemporaryFolder _folder = null!;
    private FolderBlobStore _store = null!;

    protected override IBlobStore Store => _store;

    [SetUp]
    public void MakeStore()
    {
        _folder = new TemporaryFolder();
        _store = NewStore();
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Put_Content_IsOneFileUnderItsHash()
    {
        var reference = await PutAsync([1, 2, 3]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_folder.Files, Is.EqualTo(new[] { $"{reference.Hash[..2]}/{reference.Hash}" }));
            Assert.That(await File.ReadAllBytesAsync(await _store.GetPathAsync(reference.Hash, CancellationToken.None)), Is.EqualTo(new byte[] { 1, 2, 3 }));
        }
    }

    [Test]
    public async Task Put_Cancelled_LeavesNothing()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        Assert.That(async () => await _store.PutAsync(new MemoryStream([1]), cancelled.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(_folder.Files, Is.Empty);
    }

    [Test]
    public void Start_WhatAKilledWriterLeft_IsDeletedAfterADay()
    {
        var (old, recent) = (Path.Combine(_folder.Path, "tmp", "old"), Path.Combine(_folder.Path, "tmp", "recent"));
        File.WriteAllText(old, "half");
        File.WriteAllText(recent, "half");
        File.SetLastWriteTimeUtc(old, TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-2));
        NewStore();
        Assert.That(_folder.Files, Is.EqualTo(new[] { "tmp/recent" }));
    }

    [Test]
    public void GetPath_NoHash_Throws() => Assert.That(() => _store.GetPathAsync("../x", CancellationToken.None), Throws.ArgumentException);

    [Test]
    public void AddBlobStore_NoFolder_IsRefusedAtTheStart()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Blobs:Folder", "")]).Build();
        using var provider = new ServiceCollection().AddBlobStore(configuration).BuildServiceProvider();
        Assert.That(() => provider.GetRequiredService<IStartupValidator>().Validate(), Throws.TypeOf<OptionsValidationException>());
    }

    private FolderBlobStore NewStore() => new(Options.Create(new BlobOptions { Folder = _folder.Path }), TimeProvider.System);
}
