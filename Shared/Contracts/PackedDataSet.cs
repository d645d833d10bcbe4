using System.Text.Json;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Shared.Contracts;

/// <summary>Rows of one split: they follow each other.</summary>
public readonly record struct PackedSplit(int First, int Count);

/// <summary>
/// A data set as training reads it: a safetensors file with <c>images</c>, uint8 <c>[n, h, w, c]</c>, and <c>labels</c>,
/// int32 <c>[n]</c> (positions in <see cref="Classes"/>), the rows ordered train, validation, test. Images stay in the file, and
/// so in the system's cache; labels are held. Safe for several threads.
/// </summary>
public sealed class PackedDataSet : IDisposable
{
    internal const string Format = "packed-data-set-1";
    internal const string Images = "images";
    internal const string LabelsName = "labels";

    private readonly SafetensorsReader _file;
    private readonly SafetensorsTensor _images;
    private readonly int[] _labels;

    private PackedDataSet(string path, SafetensorsReader file)
    {
        _file = file;
        if (file.RequiredMetadata("format") != Format)
            throw new InvalidDataException($"{path}: The format is '{file.RequiredMetadata("format")}', not '{Format}'.");

        _images = file.Tensor(Images, SafetensorsType.U8, 4);
        var stored = file.Tensor(LabelsName, SafetensorsType.I32, 1);
        var (height, width, channels) = (_images.Shape[1], _images.Shape[2], _images.Shape[3]);
        if (height > int.MaxValue || width > int.MaxValue || channels > int.MaxValue || !new ImageShape((int)width, (int)height, (int)channels).IsValid)
            throw new InvalidDataException($"{path}: Images of {width} x {height} x {channels} can't be trained on.");

        Shape = new((int)width, (int)height, (int)channels);
        Hash = file.RequiredMetadata("dataSetHash");
        Classes = ReadClasses(path, file.RequiredMetadata("classes"));
        Train = new(0, Count(path, "trainCount"));
        Validation = new(Train.Count, Count(path, "validationCount"));
        Test = new(Validation.First + Validation.Count, Count(path, "testCount"));
        var rows = (long)Train.Count + Validation.Count + Test.Count;
        if (_images.Shape[0] != rows || stored.Shape[0] != rows)
            throw new InvalidDataException($"{path}: {_images.Shape[0]} images and {stored.Shape[0]} labels don't match splits of {rows} rows.");

        _labels = file.ReadAll<int>(stored);
        if (_labels.Any(label => label < 0 || label >= Classes.Count))
            throw new InvalidDataException($"{path}: A label is not one of the {Classes.Count} classes.");
    }

    /// <summary>The size of each image.</summary>
    public ImageShape Shape { get; }

    /// <summary>The class names, in the order that labels count.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>The data set version that the rows were made from.</summary>
    public string Hash { get; }

    public PackedSplit Train { get; }

    public PackedSplit Validation { get; }

    public PackedSplit Test { get; }

    /// <summary>One per row.</summary>
    public ReadOnlySpan<int> Labels => _labels;

    /// <exception cref="InvalidDataException">The file is torn, or no packed data set; the message names it and says why.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static PackedDataSet Open(string path)
    {
        var file = SafetensorsReader.Open(path);
        try
        {
            return new(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Copies the images of these rows one behind another.</summary>
    /// <param name="rows">Any rows, in any order.</param>
    /// <param name="destination">uint8 <c>[rows, h, w, c]</c>.</param>
    public void Gather(ReadOnlySpan<int> rows, Span<byte> destination)
    {
        var size = Shape.Size;
        for (int i = 0, count; i < rows.Length; i += count)
        {
            // Rows that follow each other, as when a split is measured, are read at once.
            count = 1;
            while (i + count < rows.Length && rows[i + count] == rows[i] + count) count++;
            _file.Read(_images, (long)rows[i] * size, destination.Slice(i * size, count * size));
        }
    }

    public void Dispose() => _file.Dispose();

    private int Count(string path, string name) =>
        int.TryParse(_file.RequiredMetadata(name), out var count) && count >= 0
            ? count
            : throw new InvalidDataException($"{path}: The metadata '{name}' is no count.");

    private static string[] ReadClasses(string path, string json)
    {
        try
        {
            var classes = JsonSerializer.Deserialize<string[]>(json);
            if (classes is { Length: > 0 } && classes.All(name => name is not null)) return classes;
        }
        catch (JsonException)
        {
            // Said below, as for every other content that is no list of names.
        }

        throw new InvalidDataException($"{path}: The metadata 'classes' is no list of names.");
    }
}
