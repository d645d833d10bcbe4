using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MlExperiments.Shared.Data;

namespace MlExperiments.Shared.Contracts;

/// <summary>An image as it is stored, before splits are resolved.</summary>
/// <param name="Sha256">Of the file's bytes, 32 bytes.</param>
/// <param name="Split">As uploaded.</param>
/// <param name="Pack">The blob that holds the bytes, from <paramref name="Offset"/> on for <paramref name="Length"/> bytes.</param>
public readonly record struct ManifestImage(byte[] Sha256, string Label, ImageSplit Split, string Pack, long Offset, int Length);

/// <summary>
/// What a data set version is made of, and where the bytes are: rows ordered by train, validation, test, and by hash within each.
/// As a file it is a safetensors file (<see cref="Save"/>) of 52 bytes a row.
/// </summary>
public sealed class DataSetManifest
{
    private const string Format = "data-set-manifest-1";
    private const int HashLength = SHA256.HashSizeInBytes;

    private readonly byte[] _hashes;
    private readonly int[] _labels;
    private readonly int[] _packs;
    private readonly long[] _offsets;
    private readonly int[] _lengths;

    private DataSetManifest(
        string[] classes, string[] packNames, int[] counts, byte[] hashes, int[] labels, int[] packs, long[] offsets, int[] lengths)
    {
        (Classes, Packs) = (classes, packNames);
        (TrainCount, ValidationCount, TestCount) = (counts[0], counts[1], counts[2]);
        (_hashes, _labels, _packs, _offsets, _lengths) = (hashes, labels, packs, offsets, lengths);
        Hash = ComputeHash();
    }

    /// <summary>
    /// SHA-256 over each row's image hash, split and label, 64 lower-case hex digits: the same images with the same labels and splits
    /// have it wherever their bytes are.
    /// </summary>
    public string Hash { get; }

    /// <summary>The labels, each once, sorted ordinally.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>The blobs that hold the images.</summary>
    public IReadOnlyList<string> Packs { get; }

    public int TrainCount { get; }
    public int ValidationCount { get; }
    public int TestCount { get; }
    public int Count => _labels.Length;

    /// <summary>SHA-256 of the row's image file, 32 bytes.</summary>
    public ReadOnlySpan<byte> Sha256(int row) => _hashes.AsSpan(row * HashLength, HashLength);

    /// <summary>The row's place in <see cref="Classes"/>.</summary>
    public int Label(int row) => _labels[row];

    public ImageSplit Split(int row) =>
        row < TrainCount ? ImageSplit.Train : row < TrainCount + ValidationCount ? ImageSplit.Validation : ImageSplit.Test;

    /// <summary>Where the bytes are: a place in <see cref="Packs"/>, and the offset and length in that blob.</summary>
    public (int Pack, long Offset, int Length) Location(int row) => (_packs[row], _offsets[row], _lengths[row]);

    /// <summary>Resolves the splits (<see cref="SplitResolution"/>) and orders the rows.</summary>
    /// <param name="images">A model's images, each hash once, in any order.</param>
    /// <param name="reason">Where false: what is missing, as a sentence.</param>
    public static bool TryCreate(
        IReadOnlyList<ManifestImage> images,
        [NotNullWhen(true)] out DataSetManifest? manifest,
        [NotNullWhen(false)] out string? reason)
    {
        manifest = null;
        string[] classes = [.. images.Select(image => image.Label).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (images.Count == 0)
            reason = "The model has no images: upload some first.";
        else if (classes.Length < 2)
            reason = $"All images have the label \"{classes[0]}\"; to tell classes apart takes images of at least two.";
        else if (SplitResolution.TryResolve(images, out var splits, out reason))
            manifest = Create(images, splits, classes);
        return manifest is not null;
    }

    /// <summary>Writes the manifest as a file, which appears whole or not at all.</summary>
    /// <param name="path">In a folder that exists.</param>
    public void Save(string path)
    {
        var packs = JsonSerializer.Serialize(Packs);
        var metadata = new Dictionary<string, string>
        {
            ["format"] = Format,
            ["classes"] = JsonSerializer.Serialize(Classes),
            ["packs"] = packs,
            ["packsSha256"] = HashOf(packs),
            ["counts"] = string.Create(CultureInfo.InvariantCulture, $"[{TrainCount},{ValidationCount},{TestCount}]"),
            ["dataSetHash"] = Hash,
        };
        using var file = new SafetensorsWriter(
            path,
            [
                new("offsets", SafetensorsType.I64, [Count]),
                new("labels", SafetensorsType.I32, [Count]),
                new("packs", SafetensorsType.I32, [Count]),
                new("lengths", SafetensorsType.I32, [Count]),
                new("sha256", SafetensorsType.U8, [Count, HashLength]),
            ],
            metadata,
            checksum: true);
        file.Write("offsets", 0, MemoryMarshal.AsBytes(_offsets.AsSpan()));
        file.Write("labels", 0, MemoryMarshal.AsBytes(_labels.AsSpan()));
        file.Write("packs", 0, MemoryMarshal.AsBytes(_packs.AsSpan()));
        file.Write("lengths", 0, MemoryMarshal.AsBytes(_lengths.AsSpan()));
        file.Write("sha256", 0, _hashes);
        file.Commit();
    }

    /// <summary>Reads a manifest's file.</summary>
    /// <exception cref="InvalidDataException">It is none, or a damaged one.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static DataSetManifest Open(string path)
    {
        using var file = SafetensorsReader.Open(path);
        if (file.RequiredMetadata("format") != Format)
            throw new InvalidDataException($"{path}: The format is '{file.RequiredMetadata("format")}', not '{Format}'.");
        // Where the images are is no part of the data set's hash: the checksums cover that.
        file.VerifyChecksum();
        if (HashOf(file.RequiredMetadata("packs")) != file.RequiredMetadata("packsSha256"))
            throw new InvalidDataException($"{path}: The list of packs doesn't have the hash that the file promises; it was altered.");
        var manifest = new DataSetManifest(
            Json<string[]>("classes"),
            Json<string[]>("packs"),
            Json<int[]>("counts"),
            file.ReadAll<byte>(file.Tensor("sha256", SafetensorsType.U8, 2)),
            Column("labels"),
            Column("packs"),
            file.ReadAll<long>(file.Tensor("offsets", SafetensorsType.I64, 1)),
            Column("lengths"));
        // The constructor hashed what was read: these are the images, labels and splits that the file promises.
        return manifest.Hash == file.RequiredMetadata("dataSetHash")
            ? manifest
            : throw new InvalidDataException($"{path}: The rows don't have the hash that the file promises; it was altered.");

        int[] Column(string name) => file.ReadAll<int>(file.Tensor(name, SafetensorsType.I32, 1));

        T Json<T>(string name)
        {
            try
            {
                return JsonSerializer.Deserialize<T>(file.RequiredMetadata(name)) ?? throw new JsonException("null");
            }
            catch (JsonException exception)
            {
                throw new InvalidDataException($"{path}: The metadata '{name}' can't be read: {exception.Message}", exception);
            }
        }
    }

    /// <summary>Reads <see cref="Packs"/> alone, without the rows.</summary>
    /// <exception cref="InvalidDataException">It is no manifest, or a damaged one.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static IReadOnlyList<string> ReadPacks(string path)
    {
        using var file = SafetensorsReader.Open(path);
        var packs = file.RequiredMetadata("packs");
        if (HashOf(packs) != file.RequiredMetadata("packsSha256"))
            throw new InvalidDataException($"{path}: The list of packs doesn't have the hash that the file promises; it was altered.");
        return JsonSerializer.Deserialize<string[]>(packs)!;
    }

    /// <summary>Reads which images some rows are, without the others.</summary>
    /// <returns>SHA-256 of each row's image file, lower-case hex; null for a row that there is not.</returns>
    /// <exception cref="InvalidDataException">It is no manifest, or a damaged one.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static IReadOnlyList<string?> ReadHashes(string path, IEnumerable<int> rows)
    {
        using var file = SafetensorsReader.Open(path);
        var hashes = file.Tensor("sha256", SafetensorsType.U8, 2);
        var count = hashes.Length / HashLength;
        var hash = new byte[HashLength];
        return [.. rows.Select(Read)];

        string? Read(int row)
        {
            if (row < 0 || row >= count) return null;
            file.Read(hashes, (long)row * HashLength, hash);
            return Convert.ToHexStringLower(hash);
        }
    }

    private static DataSetManifest Create(IReadOnlyList<ManifestImage> images, ImageSplit[] splits, string[] classes)
    {
        var order = Enumerable.Range(0, images.Count).ToArray();
        Array.Sort(order, (left, right) => splits[left] != splits[right]
            ? splits[left].CompareTo(splits[right])
            : images[left].Sha256.AsSpan().SequenceCompareTo(images[right].Sha256));

        var counts = new int[3];
        var hashes = new byte[images.Count * HashLength];
        var (labels, packs, lengths) = (new int[images.Count], new int[images.Count], new int[images.Count]);
        var offsets = new long[images.Count];
        var classPlaces = classes.Select((name, place) => (name, place)).ToDictionary(entry => entry.name, entry => entry.place, StringComparer.Ordinal);
        var packPlaces = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var row = 0; row < order.Length; row++)
        {
            var image = images[order[row]];
            counts[(int)splits[order[row]]]++;
            image.Sha256.CopyTo(hashes, row * HashLength);
            labels[row] = classPlaces[image.Label];
            if (!packPlaces.TryGetValue(image.Pack, out packs[row]))
                packPlaces.Add(image.Pack, packs[row] = packPlaces.Count);
            offsets[row] = image.Offset;
            lengths[row] = image.Length;
        }

        return new DataSetManifest(classes, [.. packPlaces.Keys], counts, hashes, labels, packs, offsets, lengths);
    }

    private static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private string ComputeHash()
    {
        var rows = _labels.Length;
        if (_hashes.Length != rows * HashLength || _packs.Length != rows || _offsets.Length != rows || _lengths.Length != rows)
            throw new InvalidDataException("A data set manifest's columns have different lengths.");
        if ((long)TrainCount + ValidationCount + TestCount != rows || TrainCount < 0 || ValidationCount < 0 || TestCount < 0)
            throw new InvalidDataException($"A data set manifest's splits don't add up to its {rows} rows.");
        if (_labels.AsSpan().ContainsAnyExceptInRange(0, Classes.Count - 1) || _packs.AsSpan().ContainsAnyExceptInRange(0, Packs.Count - 1))
            throw new InvalidDataException("A data set manifest's row has a label or a pack that is not in its list.");
        if (_offsets.AsSpan().ContainsAnyExceptInRange(0, long.MaxValue) || _lengths.AsSpan().ContainsAnyExceptInRange(0, int.MaxValue))
            throw new InvalidDataException("A data set manifest's row has a negative offset or length.");

        // Each row: 32 bytes of hash, the split's number, the label's length in bytes (int32, little-endian), the label in UTF-8.
        byte[][] names = [.. Classes.Select(name =>
        {
            var text = Encoding.UTF8.GetBytes(name);
            var prefixed = new byte[sizeof(int) + text.Length];
            BinaryPrimitives.WriteInt32LittleEndian(prefixed, text.Length);
            text.CopyTo(prefixed, sizeof(int));
            return prefixed;
        })];
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> split = stackalloc byte[1];
        for (var row = 0; row < rows; row++)
        {
            split[0] = (byte)Split(row);
            hash.AppendData(Sha256(row));
            hash.AppendData(split);
            hash.AppendData(names[_labels[row]]);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
