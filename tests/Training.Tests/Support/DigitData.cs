using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;

namespace MlExperiments.Training.Tests.Support;

/// <summary>Packed data sets and folders of painted digits, in a folder that is removed with them.</summary>
internal sealed class DigitData : IDisposable
{
    public static readonly string[] Classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

    private readonly TemporaryFolder _folder = new();

    public string Folder => _folder.Path;

    /// <summary>A parameter set that trains in a millisecond a step.</summary>
    public static TrajectoryParameters Small { get; } = new()
    {
        LearningRate = 0.003, Layers = 2, BatchSize = 16, Filters = 16, DenseUnits = 16, Dropout = 0.25, Seed = 7,
    };

    public string NewFolder() => Directory.CreateDirectory(Path.Combine(Folder, Guid.NewGuid().ToString("N"))).FullName;

    public string Pack(int train = 300, int validation = 100, int test = 50, string hash = "digits")
    {
        var path = Path.Combine(Folder, $"{Guid.NewGuid():N}.safetensors");
        using var writer = new PackedDataSetWriter(path, new(DigitPainter.Shape, Classes, train, validation, test, hash));
        for (var row = 0; row < train + validation + test; row++) writer.Write(row, DigitPainter.Paint(row % 10, row), row % 10);
        writer.Commit();
        return path;
    }

    /// <summary>Writes <c>label/n.png</c> files.</summary>
    public static void Write(string folder, IEnumerable<int> digits, int perDigit, int firstVariant = 0)
    {
        foreach (var digit in digits)
        {
            var label = Directory.CreateDirectory(Path.Combine(folder, $"{digit}")).FullName;
            for (var i = 0; i < perDigit; i++) File.WriteAllBytes(Path.Combine(label, $"{i}.png"), DigitPainter.PaintPng(digit, firstVariant + i));
        }
    }

    public void Dispose() => _folder.Dispose();
}
