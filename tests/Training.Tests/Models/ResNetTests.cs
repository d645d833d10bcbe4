using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Testing;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Support;
using static TorchSharp.torch;

namespace MlExperiments.Training.Tests.Models;

public sealed class ResNetTests
{
    private static readonly TrajectoryParameters Parameters = new() { LearningRate = 0.003, Layers = 1, Architecture = "resnet18", BatchSize = 8, Seed = 2 };

    private TemporaryFolder _files = null!;

    [SetUp]
    public void CreateFolder() => _files = new();

    [TearDown]
    public void RemoveFolder() => _files.Dispose();

    [Test]
    public void Layout_WithAHugeLastLayer_IsRefused() => Assert.That(
        () => Network.LayoutOf(Parameters with { Architecture = "resnet50" }, new(64, 64, 3), 1_000_000),
        Throws.TypeOf<InvalidDataException>().With.Message.Contains("at most 1,024 are accepted").And.Message.Contains("fewer classes"));

    [TestCase("resnet18", 11_689_512)]
    [TestCase("resnet34", 21_797_672)]
    [TestCase("resnet50", 25_557_032)]
    public void Layout_OfALargeImage_HasAsManyParametersAsTorchvisions(string architecture, long count) =>
        Assert.That(ResNet.Layout(architecture, new(224, 224, 3), 1000).Parts.Sum(part => part.Size), Is.EqualTo(count));

    [TestCase(63, 224, 3)]
    [TestCase(64, 224, 7)]
    public void Stem_ByTheShorterSide_IsSmallOrTorchvisions(int width, int height, long kernel) =>
        Assert.That(ResNet.Layout("resnet18", new(width, height, 3), 10).Parts[0].Published, Is.EqualTo(new[] { 64, 3, kernel, kernel }));

    [Test]
    public void Train_AtTheEdgesOfSize_ReachesEveryPart(
        [Values("resnet18", "resnet34", "resnet50")] string architecture, [Values("8x8x1", "8x8x3", "64x65x1", "224x8x3", "224x224x3")] string size)
    {
        var sides = size.Split('x').Select(int.Parse).ToArray();
        using var scope = NewDisposeScope();
        using var network = new ResNet(Parameters with { Architecture = architecture }, new(sides[0], sides[1], sides[2]), 3);
        var images = empty([2, sides[1], sides[0], sides[2]], ScalarType.Byte);
        new Random(4).NextBytes(images.bytes);
        var before = Values(network.Buffers!);
        var pass = network.Train(images, 1, logits => nn.functional.cross_entropy(logits, zeros([2], ScalarType.Int64)));

        Assert.That(Values(pass.Logits), Has.Length.EqualTo(6).And.Unique.And.All.Matches<float>(float.IsFinite));
        Assert.That(Values(network.Buffers!).Zip(before).Count(pair => pair.First == pair.Second), Is.Zero, "running means and deviations that stayed");
        foreach (var (part, gradient) in network.Parts.Zip(pass.Gradient.split([.. network.Parts.Select(part => part.Size)], 0)))
            Assert.That(Values(gradient), Is.All.Matches<float>(float.IsFinite).And.Some.Not.Zero, part.Name);
        Assert.That(Values(network.Forward(images)), Has.Length.EqualTo(6).And.All.Matches<float>(float.IsFinite));
    }

    /// <summary>A pass that only looks keeps what a block needs, not every map of the network: those would be some 1,800 MiB here.</summary>
    [Test]
    public void Forward_OfManyImages_TakesTheMemoryOfABlock()
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        using var network = new ResNet(Parameters with { Architecture = "resnet50" }, new(28, 28, 1), 3);
        var images = zeros([64, 28, 28, 1], ScalarType.Byte);
        var before = ProcessMemory.Resident;
        ProcessMemory.ResetPeak();
        network.Forward(images);
        TestContext.Out.WriteLine($"{(ProcessMemory.Peak - before) >> 20} MiB");
        Assert.That((ProcessMemory.Peak - before) >> 20, Is.LessThan(500), "MiB");
    }

    [Test]
    public void Pass_OfTraining_MovesTheBuffersAndAnotherDoesNot()
    {
        using var scope = NewDisposeScope();
        using var network = new ResNet(Parameters, new(8, 8, 1), 3);
        var images = empty([4, 8, 8, 1], ScalarType.Byte);
        new Random(1).NextBytes(images.bytes);
        var before = Values(network.Buffers!);
        network.Forward(images);
        Assert.That(Values(network.Buffers!), Is.EqualTo(before));
        network.Train(images, 1, logits => nn.functional.cross_entropy(logits, zeros([4], ScalarType.Int64)));
        Assert.That(Values(network.Buffers!), Is.Not.EqualTo(before).And.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void Pass_OfOneSmallImage_StaysFinite()
    {
        // One pixel of one image is left at the end: a channel of one value has no variance.
        using var scope = NewDisposeScope();
        using var network = new ResNet(Parameters, new(8, 8, 1), 3);
        var image = empty([1, 8, 8, 1], ScalarType.Byte);
        new Random(1).NextBytes(image.bytes);
        var pass = network.Train(image, 1, logits => nn.functional.cross_entropy(logits, zeros([1], ScalarType.Int64)));
        Assert.That(Values(pass.Gradient), Is.All.Matches<float>(float.IsFinite));
        Assert.That(Values(network.Buffers!), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void Weights_WrittenAndRead_AreTheSameBitsWithTheirBuffers()
    {
        using var network = new ResNet(Parameters, new(8, 9, 3), 2);
        using (no_grad()) network.Buffers!.uniform_(0.5, 2);
        var path = Path.Combine(_files.Path, "w.safetensors");
        var info = new WeightsInfo(Parameters, new(8, 9, 3), ["a", "b"], "hash", 12, 0.3);
        var hash = WeightsFile.Write(path, network, info);
        var (read, _) = WeightsFile.Read(path);
        using (read)
        {
            Assert.That(Values(read.Flat), Is.EqualTo(Values(network.Flat)));
            Assert.That(Values(read.Buffers!), Is.EqualTo(Values(network.Buffers!)));
            Assert.That(WeightsFile.Write(path, read, info), Is.EqualTo(hash));
        }
    }

    [Test]
    public void Training_StoppedAndResumed_IsTheUndisturbedOne()
    {
        using var digits = new DigitData();
        var dataSet = digits.Pack(train: 17, validation: 10, test: 0);
        RecordingHost Train(int[] milestones, string? checkpoint = null, RecordingHost? host = null) =>
            Runs.Train(Parameters, dataSet, digits.NewFolder(), milestones, checkpoint, host, evaluateEvery: 2);

        // Batches of 8, 8 and 1.
        var undisturbed = Train([4, 7]);
        Assert.That(undisturbed.Results, Has.All.Matches<MilestoneEvent>(result => !result.Diverged && double.IsFinite(result.Loss)));
        Assert.That(Train([7]).Results, Is.EqualTo(undisturbed.Results.Skip(1)));
        var stopped = Train([7], host: new() { OnAttend = (control, _) => control.StopRequested |= control.Step == 3 });
        var checkpoint = stopped.Of<CheckpointEvent>().Single();
        Assert.That(checkpoint.Step, Is.EqualTo(3));
        Assert.That(Train([7], checkpoint.Path).Results, Is.EqualTo(undisturbed.Results.Skip(1)));
    }

    [Test]
    public void Checkpoint_OfAnotherArchitecture_IsRefused()
    {
        using var digits = new DigitData();
        var dataSet = digits.Pack(train: 16, validation: 10, test: 0);
        var checkpoint = Runs.Train(Parameters, dataSet, digits.NewFolder(), [1]).Of<CheckpointEvent>().Last().Path;
        Assert.That(
            () => Runs.Train(Parameters with { Architecture = "resnet34" }, dataSet, digits.NewFolder(), [2], checkpoint),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("other parameters"));
    }

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().bytes).ToArray();
}
