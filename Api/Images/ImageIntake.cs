using System.Buffers;
using System.Security.Cryptography;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Images;

/// <summary>
/// Takes one upload's images into a model: each is hashed, looked up, decoded once to be sure that it can be, and packed; a pack becomes
/// durable, then its rows. What was stored stays when the upload ends early, and sent again it counts as duplicate.
/// </summary>
internal sealed class ImageIntake(Model model, ImageRows rows, PackWriter packs, UploadTally tally, OrderedIds ids)
{
    // One lookup for so many images, of so many bytes together (or one of more).
    private const int BatchImages = 1000;
    private const int BatchBytes = 8 * 1024 * 1024;

    // One transaction for so many images; a full pack may end it sooner.
    private const int TransactionImages = 5000;

    private readonly List<Candidate> _batch = [];
    private readonly Dictionary<Sha256Key, NewImage> _packed = [];
    private readonly Dictionary<string, string> _normalized = new(StringComparer.Ordinal);
    private readonly byte[] _pixels = new byte[model.InputShape.Size];
    private long _batchBytes;

    /// <summary>True once the model is found to be deleted: nothing is taken in any more.</summary>
    public bool ModelIsGone { get; private set; }

    /// <param name="rented">From the shared array pool; the intake gives it back.</param>
    /// <param name="length">Bytes of the image in it.</param>
    public async Task AddAsync(string fileName, string label, ImageSplit split, byte[] rented, int length, CancellationToken cancellationToken)
    {
        if (!_normalized.TryGetValue(label, out var normal))
            _normalized.Add(label, normal = await rows.NormalizeAsync(label, cancellationToken));
        if (Labels.Problem(normal) is { } problem)
        {
            ArrayPool<byte>.Shared.Return(rented);
            tally.Refuse(fileName, problem);
            return;
        }

        _batch.Add(new Candidate(fileName, normal, split, rented, length));
        _batchBytes += length;
        if (_batch.Count >= BatchImages || _batchBytes >= BatchBytes)
            await TakeBatchAsync(cancellationToken);
    }

    /// <summary>Takes in what still waits; the tally is complete afterwards.</summary>
    public async Task CompleteAsync(CancellationToken cancellationToken)
    {
        await TakeBatchAsync(cancellationToken);
        await StoreAsync(cancellationToken);
    }

    private async Task TakeBatchAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_batch.Count == 0 || ModelIsGone)
                return;
            var hashes = _batch.Select(candidate => SHA256.HashData(candidate.Bytes)).ToArray();
            var known = await rows.FindAsync(model.Id, hashes, cancellationToken);
            for (var at = 0; at < _batch.Count; at++)
                await TakeAsync(_batch[at], hashes[at], known, cancellationToken);
            if (_packed.Count >= TransactionImages)
                await StoreAsync(cancellationToken);
        }
        finally
        {
            foreach (var candidate in _batch)
                ArrayPool<byte>.Shared.Return(candidate.Rented);
            _batch.Clear();
            _batchBytes = 0;
        }
    }

    private async Task TakeAsync(
        Candidate candidate, byte[] sha256, Dictionary<Sha256Key, KnownImage> known, CancellationToken cancellationToken)
    {
        var key = new Sha256Key(sha256);
        if (known.TryGetValue(key, out var stored))
        {
            tally.Repeat(candidate.FileName, candidate.Label, candidate.Split, stored.Label, stored.Split);
            return;
        }

        if (_packed.TryGetValue(key, out var earlier))
        {
            tally.Repeat(candidate.FileName, candidate.Label, candidate.Split, earlier.Label, earlier.Split);
            return;
        }

        if (!ImageDecoder.TryDecode(candidate.Bytes, model.InputShape, _pixels, out var info, out var reason))
        {
            tally.Refuse(candidate.FileName, reason);
            return;
        }

        if (!packs.TryAppend(candidate.Bytes, out var offset))
        {
            // Stored now, these have to be known to the rest of the batch, which was looked up before.
            foreach (var (hash, image) in _packed)
                known.TryAdd(hash, new KnownImage(image.Label, image.Split));
            await StoreAsync(cancellationToken);
            packs.TryAppend(candidate.Bytes, out offset);
        }

        _packed.Add(key, new NewImage(
            ids.Next(),
            sha256,
            candidate.Label,
            candidate.Split,
            Labels.FileName(candidate.FileName),
            offset,
            candidate.Length,
            info.Width,
            info.Height,
            info.MediaType));
    }

    private async Task StoreAsync(CancellationToken cancellationToken)
    {
        if (_packed.Count == 0 || ModelIsGone)
            return;
        var pack = await packs.CompleteAsync(cancellationToken);
        FailPoint.Hit("pack.stored");
        if (await rows.InsertAsync(model.Id, pack, _packed.Values, cancellationToken) is not { } inserted)
        {
            ModelIsGone = true;
            return;
        }

        FailPoint.Hit("images.inserted");
        tally.Accepted += inserted.Count;
        if (inserted.Count < _packed.Count)
        {
            // Another upload was faster with these.
            var others = _packed.Where(entry => !inserted.Contains(entry.Key)).Select(entry => entry.Value).ToList();
            var known = await rows.FindAsync(model.Id, [.. others.Select(image => image.Sha256)], cancellationToken);
            foreach (var image in others)
            {
                if (known.TryGetValue(new Sha256Key(image.Sha256), out var stored))
                    tally.Repeat(image.FileName, image.Label, image.Split, stored.Label, stored.Split);
                else
                    tally.Refuse(image.FileName, "the same image was added and removed by others at this moment: upload it again");
            }
        }

        _packed.Clear();
    }

    private readonly record struct Candidate(string FileName, string Label, ImageSplit Split, byte[] Rented, int Length)
    {
        public ReadOnlySpan<byte> Bytes => Rented.AsSpan(0, Length);
    }
}
