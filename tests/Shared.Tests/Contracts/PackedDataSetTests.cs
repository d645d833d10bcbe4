using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests.Contracts;

public sealed class PackedDataSetTests
{
    private TemporaryFolder _files = null!;

    [SetUp]
    public void CreateFolder() => _files = new();

    [TearDown]
    public void RemoveFolder() => _files.Dispose();

    [Test]
    public void DataSet_WrittenFromSeveralThreads_ReadsBack()
    {
        var path = Path.Combine(_files.Path, "a.safetensors");
        var shape = new ImageShape(9, 8, 3);
        using (var writer = new PackedDataSetWriter(path, new(shape, ["a", "b"], 500, 300, 200, "version")))
        {
            Parallel.For(0, 1000, row => writer.Write(row, Pixels(shape, row), row % 2));
            writer.Commit();
        }

        using var data = PackedDataSet.Open(path);
        Assert.That(data.Shape, Is.EqualTo(shape));
        Assert.That(data.Classes, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(data.Hash, Is.EqualTo("version"));
        Assert.That((data.Train, data.Validation, data.Test), Is.EqualTo((new PackedSplit(0, 500), new PackedSplit(500, 300), new PackedSplit(800, 200))));
        Assert.That(data.Labels.ToArray(), Is.EqualTo(Enumerable.Range(0, 1000).Select(row => row % 2)));

        var batch = new byte[3 * shape.Size];
        data.Gather([999, 0, 512], batch);
        Assert.That(batch, Is.EqualTo(new[] { 999, 0, 512 }.SelectMany(row => Pixels(shape, row))));
        Assert.That(() => data.Gather([1000], new byte[shape.Size]), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Commit_WithARowMissing_IsRefused()
    {
        var path = Path.Combine(_files.Path, "a.safetensors");
        using (var writer = new PackedDataSetWriter(path, new(new(8, 8, 1), ["a", "b"], 1, 1, 0, "version")))
        {
            writer.Write(0, new byte[64], 0);
            Assert.That(writer.Commit, Throws.InvalidOperationException.With.Message.Contains("Row 1"));
            Assert.That(() => writer.Write(1, new byte[63], 0), Throws.ArgumentException);
            Assert.That(() => writer.Write(1, new byte[64], 2), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => writer.Write(2, new byte[64], 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
        }

        Assert.That(Directory.GetFiles(_files.Path), Is.Empty);
    }

    [Test]
    public void Writer_OfManyLargeImages_KeepsNoneInMemory()
    {
        var shape = new ImageShape(224, 224, 3);
        var pixels = new byte[shape.Size];
        using var writer = new PackedDataSetWriter(Path.Combine(_files.Path, "a.safetensors"), new(shape, ["a", "b"], 100_000, 0, 0, "version"));
        var before = ProcessMemory.Resident;
        // Far apart in a file of 15 GB, of which the disk holds what is written.
        for (var row = 0; row < 100_000; row += 1000) writer.Write(row, pixels, 0);
        Assert.That(ProcessMemory.Resident - before, Is.LessThan(10L << 20));
    }

    [Test]
    public void Open_OfOtherContent_IsRefused()
    {
        var path = Path.Combine(_files.Path, "a.safetensors");
        void Check(string classes, string trainCount, int label, string reason)
        {
            using (var writer = new SafetensorsWriter(
                path,
                [new("labels", SafetensorsType.I32, [1]), new("images", SafetensorsType.U8, [1, 8, 8, 1])],
                new Dictionary<string, string>
                {
                    ["format"] = "packed-data-set-1", ["classes"] = classes, ["trainCount"] = trainCount, ["validationCount"] = "0", ["testCount"] = "0",
                    ["dataSetHash"] = "version",
                }))
            {
                writer.Write("labels", 0, BitConverter.GetBytes(label));
                writer.Commit();
            }

            Assert.That(() => PackedDataSet.Open(path), Throws.TypeOf<InvalidDataException>().With.Message.Contains(reason));
        }

        Check("[]", "1", 0, "classes");
        Check("{", "1", 0, "classes");
        Check("""["a"]""", "2", 0, "splits of 2 rows");
        Check("""["a"]""", "-1", 0, "trainCount");
        Check("""["a"]""", "1", 1, "label");
        Check("""["a"]""", "1", -1, "label");
    }

    private static byte[] Pixels(ImageShape shape, int row)
    {
        var pixels = new byte[shape.Size];
        new Random(row).NextBytes(pixels);
        return pixels;
    }
}
