using MlExperiments.Shared.Blobs;
using MlExperiments.Testing;
using Microsoft.Extensions.Options;

namespace MlExperiments.Shared.Tests.Blobs;

public sealed class PackWriterTests
{
    private TemporaryFolder _folder = null!;
    private FolderBlobStore _store = null!;
    private PackWriter _writer = null!;

    [SetUp]
    public void MakeWriter()
    {
        _folder = new TemporaryFolder();
        var options = new BlobOptions { Folder = _folder.Path };
        _store = new FolderBlobStore(Options.Create(options), TimeProvider.System);
        _writer = new PackWriter(_store, options.TemporaryFolder);
    }

    [TearDown]
    public void DeleteFolder()
    {
        _writer.Dispose();
        _folder.Dispose();
    }

    [Test]
    public async Task Complete_ManySequences_EachIsWhereItsOffsetSays()
    {
        var sequences = Enumerable.Range(1, 100).Select(length => Enumerable.Repeat((byte)length, length).ToArray()).ToList();
        var offsets = sequences.Select(Append).ToList();
        var pack = await _writer.CompleteAsync(default);
        Assert.That(pack.Length, Is.EqualTo(sequences.Sum(sequence => sequence.Length)));
        foreach (var (sequence, offset) in sequences.Zip(offsets))
        {
            await using var stream = await _store.OpenReadAsync(pack.Hash, offset, sequence.Length, default);
            var bytes = new byte[sequence.Length];
            await stream.ReadExactlyAsync(bytes);
            Assert.That(bytes, Is.EqualTo(sequence));
        }
    }

    [Test]
    public async Task TryAppend_NoRoom_WaitsForTheNextPack()
    {
        var most = new byte[PackWriter.MaxLength];
        Append(most);
        Assert.That(_writer.TryAppend([1], out _), Is.False);
        var first = await _writer.CompleteAsync(default);
        var offset = Append([1]);
        var second = await _writer.CompleteAsync(default);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(first.Length, Is.EqualTo(most.LongLength));
            Assert.That((offset, second.Length), Is.EqualTo((0L, 1L)));
        }
    }

    [Test]
    public void TryAppend_LongerThanAPack_GetsOneOfItsOwn() =>
        Assert.That(Append(new byte[PackWriter.MaxLength + 1]), Is.Zero);

    [Test]
    public void Complete_Nothing_Throws() =>
        Assert.That(async () => await _writer.CompleteAsync(default), Throws.InvalidOperationException);

    private long Append(byte[] bytes)
    {
        Assert.That(_writer.TryAppend(bytes, out var offset), Is.True);
        return offset;
    }
}
