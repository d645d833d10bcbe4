using System.Globalization;
using System.Text.Json;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Shared.Contracts;

/// <summary>What a packed data set is made for.</summary>
/// <param name="Shape">The size of each image.</param>
/// <param name="Classes">The class names, in the order that labels count.</param>
/// <param name="DataSetHash">The data set version that the rows come from.</param>
public sealed record PackedDataSetLayout(
    ImageShape Shape, IReadOnlyList<string> Classes, int TrainCount, int ValidationCount, int TestCount, string DataSetHash)
{
    /// <summary>All rows: those of train first, then validation, then test.</summary>
    public int Count => checked(TrainCount + ValidationCount + TestCount);
}

/// <summary>
/// Fills a packed data set row by row, in any order and from several threads; the pixels go straight to the file. The file appears under
/// its name with <see cref="Commit"/>; without, nothing stays.
/// </summary>
public sealed class PackedDataSetWriter : IDisposable
{
    private readonly PackedDataSetLayout _layout;
    private readonly SafetensorsWriter _file;
    private readonly bool[] _written;

    /// <param name="path">Where the file appears, in a folder that exists.</param>
    public PackedDataSetWriter(string path, PackedDataSetLayout layout)
    {
        _layout = layout;
        _written = new bool[layout.Count];
        var shape = layout.Shape;
        _file = new(
            path,
            [
                // Labels first: they are aligned in the map whatever the images' size is.
                new(PackedDataSet.LabelsName, SafetensorsType.I32, [layout.Count]),
                new(PackedDataSet.Images, SafetensorsType.U8, [layout.Count, shape.Height, shape.Width, shape.Channels]),
            ],
            new Dictionary<string, string>
            {
                ["format"] = PackedDataSet.Format,
                ["classes"] = JsonSerializer.Serialize(layout.Classes),
                ["trainCount"] = layout.TrainCount.ToString(CultureInfo.InvariantCulture),
                ["validationCount"] = layout.ValidationCount.ToString(CultureInfo.InvariantCulture),
                ["testCount"] = layout.TestCount.ToString(CultureInfo.InvariantCulture),
                ["dataSetHash"] = layout.DataSetHash,
            });
    }

    /// <summary>Writes one row; safe for several threads as long as each row is one's own.</summary>
    /// <param name="row">0 to the layout's count - 1.</param>
    /// <param name="pixels">uint8 <c>[h, w, c]</c>.</param>
    /// <param name="label">Position in the classes.</param>
    /// <exception cref="ArgumentException">A row, size or label out of range.</exception>
    public void Write(int row, ReadOnlySpan<byte> pixels, int label)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, _written.Length);
        ArgumentOutOfRangeException.ThrowIfNegative(label);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(label, _layout.Classes.Count);
        if (pixels.Length != _layout.Shape.Size) throw new ArgumentException($"{pixels.Length} bytes are not {_layout.Shape}.", nameof(pixels));

        Span<byte> word = stackalloc byte[sizeof(int)];
        BitConverter.TryWriteBytes(word, label);
        _file.Write(PackedDataSet.LabelsName, (long)row * sizeof(int), word);
        _file.Write(PackedDataSet.Images, (long)row * pixels.Length, pixels);
        _written[row] = true;
    }

    /// <summary>Makes the data set durable under its name.</summary>
    /// <exception cref="InvalidOperationException">A row was not written.</exception>
    public void Commit()
    {
        var missing = Array.IndexOf(_written, false);
        if (missing >= 0) throw new InvalidOperationException($"Row {missing} of {_written.Length} was not written.");
        _file.Commit();
    }

    public void Dispose() => _file.Dispose();
}
