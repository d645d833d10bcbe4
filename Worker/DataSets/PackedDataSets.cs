using System.Buffers;
using System.Diagnostics;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MlExperiments.Worker.DataSets;

/// <summary>Packed data sets: each data set version's images are decoded once, by whichever worker needs them first.</summary>
public sealed partial class PackedDataSets(
    IDbContextFactory<ExperimentsDbContext> databases,
    IConfiguration configuration,
    IBlobStore blobs,
    ScratchFolder scratch,
    IOptions<WorkerOptions> options,
    ILogger<PackedDataSets> logger) : IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private readonly SemaphoreSlim _packing = new(1);

    private string Folder => Path.Combine(scratch.Path, "data-sets");

    /// <summary>Removes what a worker left that was killed while it packed.</summary>
    public void EmptyFolder()
    {
        if (Directory.Exists(Folder))
            Directory.Delete(Folder, recursive: true);
    }

    public void Dispose() => _packing.Dispose();

    /// <summary>The path of the version's packed data set, made now if no worker has made it before.</summary>
    public async Task<string> GetPathAsync(Guid dataSetVersionId, CancellationToken cancellationToken)
    {
        if (await FindAsync(dataSetVersionId, cancellationToken) is { } path)
            return path;

        // One slot of one worker packs, and the others wait for it: here first, so that they hold no connection each.
        await _packing.WaitAsync(cancellationToken);
        try
        {
            // The lock goes with its connection, which is not one of the pool's: nothing needs to be undone.
            await using var connection = Database.NewConnection(configuration);
            await connection.OpenAsync(cancellationToken);
            return await WaitForAnotherAsync(connection, dataSetVersionId, cancellationToken) ?? await PackAsync(dataSetVersionId, cancellationToken);
        }
        finally
        {
            _packing.Release();
        }
    }

    /// <summary>Waits for the worker that packs it now, if there is one. Null where it is to be packed here: that one may hang, and twice packed is the same.</summary>
    private async Task<string?> WaitForAnotherAsync(NpgsqlConnection connection, Guid dataSetVersionId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", connection);
        command.Parameters.AddWithValue($"pack {dataSetVersionId}");
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var mine = (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
            if (await FindAsync(dataSetVersionId, cancellationToken) is { } path)
                return path;
            if (mine)
                return null;
            if (Stopwatch.GetElapsedTime(began) > options.Value.PackWait)
            {
                LogOvertakes(logger, options.Value.PackWait.TotalSeconds);
                return null;
            }

            await Task.Delay(LookEvery, cancellationToken);
        }
    }

    private async Task<string?> FindAsync(Guid dataSetVersionId, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var blob = await db.DataSetVersions.Where(version => version.Id == dataSetVersionId)
            .Select(version => version.PackedBlob).SingleAsync(cancellationToken);
        try
        {
            return blob is null ? null : await blobs.GetPathAsync(blob, cancellationToken);
        }
        catch (BlobNotFoundException)
        {
            // Packed once and gone since: it is made again.
            return null;
        }
    }

    private async Task<string> PackAsync(Guid dataSetVersionId, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var (version, shape) = await (
            from candidate in db.DataSetVersions.AsNoTracking()
            join model in db.Models on candidate.ModelId equals model.Id
            where candidate.Id == dataSetVersionId
            select new ValueTuple<DataSetVersion, ImageShape>(candidate, new ImageShape(model.InputWidth, model.InputHeight, model.InputChannels)))
            .SingleAsync(cancellationToken);
        var manifest = DataSetManifest.Open(await blobs.GetPathAsync(version.ManifestBlob, cancellationToken));
        LogPacking(logger, version.Hash, manifest.Count);

        // Named by the version, not its hash: models of other input sizes may have the same images.
        var file = Path.Combine(Directory.CreateDirectory(Folder).FullName, dataSetVersionId.ToString("N"));
        try
        {
            using (var writer = new PackedDataSetWriter(
                file, new(shape, manifest.Classes, manifest.TrainCount, manifest.ValidationCount, manifest.TestCount, manifest.Hash)))
            {
                await DecodeAsync(manifest, shape, writer, cancellationToken);
                writer.Commit();
            }

            await using var packed = File.OpenRead(file);
            var blob = await blobs.PutAsync(packed, cancellationToken);
            await db.DataSetVersions.Where(candidate => candidate.Id == dataSetVersionId)
                .ExecuteUpdateAsync(set => set.SetProperty(candidate => candidate.PackedBlob, blob.Hash), cancellationToken);
            return await blobs.GetPathAsync(blob.Hash, cancellationToken);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private async Task DecodeAsync(DataSetManifest manifest, ImageShape shape, PackedDataSetWriter writer, CancellationToken cancellationToken)
    {
        // By pack and offset, so that the packs are read from front to end; a row's place in the file is its place in the manifest.
        var rows = Enumerable.Range(0, manifest.Count).OrderBy(row => manifest.Location(row).Pack).ThenBy(row => manifest.Location(row).Offset);
        await Parallel.ForEachAsync(
            rows.Chunk(256),
            new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken },
            async (chunk, token) =>
            {
                var pixels = new byte[shape.Size];
                foreach (var row in chunk)
                {
                    var (pack, offset, length) = manifest.Location(row);
                    var bytes = ArrayPool<byte>.Shared.Rent(length);
                    await using (var stream = await blobs.OpenReadAsync(manifest.Packs[pack], offset, length, token))
                        await stream.ReadExactlyAsync(bytes.AsMemory(0, length), token);
                    if (!ImageDecoder.TryDecode(bytes.AsSpan(0, length), shape, pixels, out var reason))
                        throw new InvalidDataException($"The image {Convert.ToHexStringLower(manifest.Sha256(row))} can't be decoded any more: {reason}");
                    writer.Write(row, pixels, manifest.Label(row));
                    ArrayPool<byte>.Shared.Return(bytes);
                }
            });
    }

    [LoggerMessage(LogLevel.Information, "Packs {Images} images of data set version {Hash}")]
    private static partial void LogPacking(ILogger logger, string hash, int images);

    [LoggerMessage(LogLevel.Warning, "Another worker packs these images for more than {Seconds:0} s: this one packs them too")]
    private static partial void LogOvertakes(ILogger logger, double seconds);
}
