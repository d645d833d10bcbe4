using System.Security.Cryptography;
using MlExperiments.Shared.Blobs;

namespace MlExperiments.Shared.Tests.Blobs;

/// <summary>What every blob store has to do. A fixture per implementation makes the store and takes it away again.</summary>
public abstract class BlobStoreConformance
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 100_000).Select(at => (byte)(at * 7))];
    private static readonly string ContentHash = Convert.ToHexStringLower(SHA256.HashData(Content));

    protected abstract IBlobStore Store { get; }

    [Test]
    public async Task Put_Content_IsNamedByItsHashAndReadBack()
    {
        var reference = await PutAsync(Content);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(reference, Is.EqualTo(new BlobReference(ContentHash, Content.Length)));
            Assert.That(await ReadAsync(ContentHash, 0, null), Is.EqualTo(Content));
            Assert.That(await Store.ExistsAsync(ContentHash, default), Is.True);
        }
    }

    [Test]
    public async Task Put_Nothing_IsABlobToo()
    {
        var reference = await PutAsync([]);
        Assert.That(reference.Length, Is.Zero);
        Assert.That(await ReadAsync(reference.Hash, 0, null), Is.Empty);
    }

    [Test]
    public async Task Put_FromManyAtOnce_LeavesOneBlob()
    {
        var references = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => PutAsync(Content)));
        Assert.That(references.Distinct().Count(), Is.EqualTo(1));
        Assert.That(await ReadAsync(ContentHash, 0, null), Is.EqualTo(Content));
    }

    [Test]
    public async Task Put_SourceThatFails_LeavesNothing()
    {
        await using var source = new FailingStream(Content);
        Assert.That(async () => await Store.PutAsync(source, default), Throws.TypeOf<IOException>());
        Assert.That(await Store.ExistsAsync(ContentHash, default), Is.False);
    }

    [Test]
    public async Task List_AndDeleteBefore_TakeWhatWasStoredBefore()
    {
        var older = await PutAsync([1]);
        var between = TimeProvider.System.GetUtcNow().AddSeconds(1);
        Assert.That(await ListAsync(between), Is.EqualTo(new[] { older }));
        Assert.That(await ListAsync(between.AddHours(-1)), Is.Empty);

        Assert.That(await Store.DeleteAsync(older.Hash, between.AddHours(-1), default), Is.False, "it was stored later");
        Assert.That(await Store.DeleteAsync(older.Hash, between, default), Is.True);
        Assert.That(await Store.DeleteAsync(older.Hash, between, default), Is.False, "it is gone");
        Assert.That(await ListAsync(between), Is.Empty);

        async Task<List<BlobReference>> ListAsync(DateTimeOffset before)
        {
            var listed = new List<BlobReference>();
            await foreach (var blob in Store.ListAsync(before, default))
                listed.Add(blob);
            return listed;
        }
    }

    [TestCase(0, 10)]
    [TestCase(99_990, 10)]
    [TestCase(500, 0)]
    [TestCase(100_000, 0)]
    [TestCase(12_345, 60_000)]
    public async Task OpenRead_Range_GivesJustThat(int offset, int length)
    {
        await PutAsync(Content);
        Assert.That(await ReadAsync(ContentHash, offset, length), Is.EqualTo(Content[offset..(offset + length)]));
    }

    [Test]
    public async Task OpenRead_OffsetWithoutLength_GivesTheRest()
    {
        await PutAsync(Content);
        Assert.That(await ReadAsync(ContentHash, 99_000, null), Is.EqualTo(Content[99_000..]));
    }

    [TestCase(-1, 5)]
    [TestCase(0, -1)]
    [TestCase(99_999, 2)]
    [TestCase(100_001, null)]
    public async Task OpenRead_RangeThatIsNotWithin_Throws(long offset, long? length)
    {
        await PutAsync(Content);
        Assert.That(async () => await Store.OpenReadAsync(ContentHash, offset, length, default), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void OpenRead_NoSuchBlob_Throws()
    {
        var hash = new string('0', 64);
        Assert.That(
            async () => await Store.OpenReadAsync(hash, 0, null, default),
            Throws.TypeOf<BlobNotFoundException>().With.Property(nameof(BlobNotFoundException.Hash)).EqualTo(hash));
    }

    [Test]
    public async Task GetPath_Blob_IsAFileWithItsBytes()
    {
        await PutAsync(Content);
        Assert.That(await File.ReadAllBytesAsync(await Store.GetPathAsync(ContentHash, default)), Is.EqualTo(Content));
    }

    [Test]
    public void GetPath_NoSuchBlob_Throws() =>
        Assert.That(async () => await Store.GetPathAsync(new string('0', 64), default), Throws.TypeOf<BlobNotFoundException>());

    [Test]
    public async Task Delete_Blob_IsGone()
    {
        await PutAsync(Content);
        await Store.DeleteAsync(ContentHash, default);
        await Store.DeleteAsync(ContentHash, default);
        Assert.That(await Store.ExistsAsync(ContentHash, default), Is.False);
    }

    [TestCase("")]
    [TestCase("../../../etc/passwd")]
    [TestCase("ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789")]
    [TestCase("/bcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789")]
    public void EveryCall_NoHash_Throws(string hash)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(async () => await Store.OpenReadAsync(hash, 0, null, default), Throws.InstanceOf<ArgumentException>());
            Assert.That(async () => await Store.ExistsAsync(hash, default), Throws.InstanceOf<ArgumentException>());
            Assert.That(async () => await Store.DeleteAsync(hash, default), Throws.InstanceOf<ArgumentException>());
        }
    }

    [Test]
    public void Probe_WorkingStore_Passes() => Assert.That(async () => await Store.ProbeAsync(default), Throws.Nothing);

    protected async Task<BlobReference> PutAsync(byte[] content) => await Store.PutAsync(new MemoryStream(content), default);

    private async Task<byte[]> ReadAsync(string hash, long offset, long? length)
    {
        await using var stream = await Store.OpenReadAsync(hash, offset, length, default);
        using var bytes = new MemoryStream();
        await stream.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    /// <summary>Gives its bytes, and then the error that a full disk or a lost connection gives.</summary>
    private sealed class FailingStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await base.ReadAsync(buffer, cancellationToken);
            return count > 0 ? count : throw new IOException("No space left on device");
        }
    }
}
