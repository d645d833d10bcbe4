using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Onnx;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests.Onnx;

public sealed class OnnxStreamTests
{
    private TemporaryFolder _files = null!;

    private string Weights => Path.Combine(_files.Path, "weights.safetensors");

    [SetUp]
    public void CreateWeights()
    {
        _files = new();
        File.WriteAllBytes(Weights, CnnWeights.Make());
    }

    [TearDown]
    public void RemoveFolder() => _files.Dispose();

    [Test]
    public async Task File_ReadFromAnyPlace_IsTheSameBytes()
    {
        await using var onnx = OnnxModel.Open(Weights, null);
        var whole = new byte[onnx.Length];
        onnx.ReadExactly(whole);
        Assert.That(onnx.ReadByte(), Is.EqualTo(-1));

        var random = new Random(3);
        for (var i = 0; i < 500; i++)
        {
            var (from, count) = (random.Next(whole.Length), random.Next(400));
            onnx.Position = from;
            var part = new byte[count];
            var read = onnx.Read(part);
            Assert.That(part[..read], Is.EqualTo(whole[from..Math.Min(whole.Length, from + count)]));
            onnx.Position = from;
            var again = new byte[count];
            Assert.That(await onnx.ReadAsync(again), Is.EqualTo(read));
            Assert.That(again, Is.EqualTo(part));
        }

        onnx.Position = whole.Length + 5;
        Assert.That(onnx.ReadByte(), Is.EqualTo(-1));
    }

    [Test]
    public void File_OfWeights_HasTheirBytesAsTheyAre()
    {
        var whole = Read();
        using var weights = SafetensorsReader.Open(Weights);
        foreach (var tensor in weights.Tensors)
            Assert.That(whole.AsSpan().IndexOf(MemoryMarshal.AsBytes<float>(weights.ReadAll<float>(tensor))), Is.GreaterThan(0), tensor.Name);
    }

    [Test]
    public async Task File_OfHundredsOfMegabytes_IsNotHeldInMemory()
    {
        CnnWeights.Write(Weights, new() { LearningRate = 0.001, Layers = 1, Filters = 2, DenseUnits = 4096 }, new(224, 224, 1));
        var before = ProcessMemory.Resident;
        ProcessMemory.ResetPeak();
        await using var onnx = OnnxModel.Open(Weights, null);
        await onnx.CopyToAsync(Stream.Null);
        Assert.That(onnx.Position, Is.EqualTo(onnx.Length).And.GreaterThan(390L << 20));
        Assert.That(ProcessMemory.Peak - before, Is.LessThan(20L << 20));
    }

    [Test]
    public void Tag_OfAnotherExperiment_IsAnother()
    {
        var experiment = Guid.NewGuid();
        var (once, again) = (Tag(experiment), Tag(experiment));
        Assert.That(again, Is.EqualTo(once));
        Assert.That(Tag(null), Is.Not.EqualTo(once));
    }

    [Test]
    public void Open_WithoutItsWeights_GoesOn()
    {
        var whole = Read();
        using var onnx = OnnxModel.Open(Weights, null);
        File.Delete(Weights);
        var later = new byte[onnx.Length];
        onnx.ReadExactly(later);
        Assert.That(later, Is.EqualTo(whole));
    }

    [Test]
    public void Open_OfWhatIsNoCnn_SaysSo()
    {
        File.WriteAllBytes(Weights, CnnWeights.Make("resnet18"));
        Refuses("Only weights of the architecture cnn can be had as ONNX, and these are of resnet18.");
    }

    [Test]
    public void Open_OfWeightsThatDoNotFitTheirDescription_NamesTheTensor()
    {
        File.WriteAllBytes(Weights, CnnWeights.Make(claimedFilters: 3));
        Refuses("'conv1.weight' is [2, 1, 3, 3], and the network that the file describes has [3, 1, 3, 3]");
    }

    [Test]
    public void Open_OfWeightsThatWereCutShort_IsRefused()
    {
        using (var file = File.OpenWrite(Weights)) file.SetLength(file.Length - 1);
        Refuses("");
    }

    private void Refuses(string reason) =>
        Assert.That(() => OnnxModel.Open(Weights, null), Throws.TypeOf<InvalidDataException>().With.Message.Contains(reason));

    private byte[] Read()
    {
        using var onnx = OnnxModel.Open(Weights, null);
        var whole = new byte[onnx.Length];
        onnx.ReadExactly(whole);
        return whole;
    }

    private string Tag(Guid? experiment)
    {
        using var onnx = OnnxModel.Open(Weights, experiment);
        return onnx.Tag;
    }
}
