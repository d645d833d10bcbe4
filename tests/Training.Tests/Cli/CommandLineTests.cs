using System.Globalization;
using System.Text.RegularExpressions;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Cli;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Cli;

public sealed partial class CommandLineTests
{
    private static readonly string[] Small = ["--i", "0.003", "--j", "1", "--filters", "4", "--dense-units", "16", "--batch-size", "16"];

    private DigitData _digits = null!;
    private string _images = null!;
    private string _output = null!;

    [SetUp]
    public void CreateFolders()
    {
        _digits = new();
        _images = _digits.NewFolder();
        _output = _digits.NewFolder();
    }

    [TearDown]
    public void RemoveFolders() => _digits.Dispose();

    [Test]
    public async Task Train_ThenTest_TellsTheDigit()
    {
        DigitData.Write(_images, [0, 1], 40);
        var (code, printed, errors) = await TrainAsync("150");
        Assert.That(code, Is.Zero, errors);
        Assert.That(errors, Does.Contain("trained in"));
        Assert.That(Accuracy(printed), Is.GreaterThan(0.9));

        // The same again is known already; more steps go on from there.
        var again = await TrainAsync("150");
        Assert.That(again.Errors, Does.Contain("trained before"));
        Assert.That(again.Output, Is.EqualTo(printed));
        Assert.That((await TrainAsync("160")).Errors, Does.Contain("going on from step 150"));

        // By class: a line each, and the same from what was kept.
        var verbose = await TrainAsync("150", "--verbose");
        Assert.That(verbose.Output, Does.EndWith(printed));
        var lines = verbose.Output.Split('\n');
        Assert.That(lines[0], Does.Match("^validation 0: precision [01]\\.[0-9]{4}, recall [01]\\.[0-9]{4}, F1 [01]\\.[0-9]{4}, [0-9]+ images$"));
        Assert.That(lines[2], Does.StartWith("validation mean: precision "));
        Assert.That(File.Exists(lines[3]["classes: ".Length..]), Is.True, lines[3]);

        // In ONNX, beside the weights.
        var onnx = (await TrainAsync("150", "--onnx")).Output.Split('\n')[2];
        Assert.That(onnx, Does.Match("^onnx: .*/step-150\\.onnx$"));
        Assert.That(new FileInfo(onnx["onnx: ".Length..]).Length, Is.GreaterThan(1000));

        var image = Path.Combine(_digits.Folder, "one.png");
        await File.WriteAllBytesAsync(image, DigitPainter.PaintPng(1, 4711));
        var test = await TrainerProcess.RunAsync(["test", .. Small, "--k", "150", "--image", image, "--output", _output]);
        Assert.That(test.Code, Is.Zero, test.Errors);
        Assert.That(test.Output, Does.StartWith("label: 1\n").And.Contain("confidence: 0.").And.Contain("  0: 0."));

        var other = await TrainerProcess.RunAsync(["test", .. Small, "--k", "151", "--image", image, "--output", _output]);
        Assert.That(other.Code, Is.Not.Zero);
        Assert.That(other.Errors, Does.Contain("Nothing was trained for these parameters"));
    }

    [Test]
    public async Task Train_ForEpochs_TakesTheirSteps_AndTestFindsThem()
    {
        DigitData.Write(_images, [0, 1], 40);
        var (code, _, errors) = await TrainerProcess.RunAsync(["train", .. Small, "--epochs", "3", "--images", _images, "--output", _output]);
        Assert.That(code, Is.Zero, errors);
        var match = StepsOfEpochs().Match(errors);
        Assert.That(match.Success, Is.True, errors);
        var (images, steps) = (int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));
        Assert.That(images, Is.InRange(50, 75), "a fifth of 80 validates, or so");
        Assert.That(steps, Is.EqualTo(3 * Math.Ceiling(images / 16.0)));
        Assert.That((await TrainAsync($"{steps}")).Errors, Does.Contain("trained before"), "it's the same in other words");

        // More images are more steps: those that were trained on count.
        DigitData.Write(_images, [0, 1], 60, firstVariant: 1000);
        Assert.That((await TrainAsync("1")).Code, Is.Zero);
        string[] test = ["test", .. Small, "--image", Path.Combine(_images, "1", "0.png"), "--output", _output, "--epochs"];
        var found = await TrainerProcess.RunAsync([.. test, "3"]);
        Assert.That(found.Code, Is.Zero, found.Errors);
        Assert.That(found.Output, Does.StartWith("label: "));
        var other = await TrainerProcess.RunAsync([.. test, "4"]);
        Assert.That(other.Code, Is.Not.Zero);
        Assert.That(other.Errors, Does.Contain("Nothing was trained for these parameters"));

        var tooMany = await TrainerProcess.RunAsync(["train", .. Small[..^2], "--batch-size", "1", "--epochs", "100000", "--images", _images, "--output", _output]);
        Assert.That(tooMany.Code, Is.Not.Zero);
        Assert.That(tooMany.Errors, Does.Contain("--epochs: 100000 epochs of ").And.Contains("more than an experiment may have"));
    }

    [Test]
    public async Task Train_OfAResidualNetwork_NeedsNoLayers_AndACnnDoes()
    {
        DigitData.Write(_images, [0, 1], 20);
        string[] options = ["--i", "0.001", "--k", "2", "--batch-size", "4", "--class-weights", "balanced", "--schedule", "step", "--decay-every", "1", "--output", _output];
        var residual = await TrainerProcess.RunAsync(["train", .. options, "--architecture", "resnet18", "--size", "8x8", "--images", _images]);
        Assert.That(residual.Code, Is.Zero, residual.Errors);
        var image = Path.Combine(_images, "1", "0.png");
        var test = await TrainerProcess.RunAsync(["test", .. options, "--architecture", "resnet18", "--image", image]);
        Assert.That(test.Code, Is.Zero, test.Errors);
        Assert.That(test.Output, Does.StartWith("label: "));

        var onnx = await TrainerProcess.RunAsync(["train", .. options, "--architecture", "resnet18", "--size", "8x8", "--images", _images, "--onnx"]);
        Assert.That(onnx.Code, Is.Not.Zero);
        Assert.That(onnx.Errors, Does.Contain("--onnx writes networks of the architecture cnn only"));

        var cnn = await TrainerProcess.RunAsync(["train", .. options, "--images", _images]);
        Assert.That(cnn.Code, Is.Not.Zero);
        Assert.That(cnn.Errors, Does.Contain("--j").And.Contains("required"));
    }

    [Test]
    public async Task Train_InBfloat16_IsAnotherTrainingThanInFloat32()
    {
        string[] small = [.. Small];
        small[Array.IndexOf(small, "--j") + 1] = "2";
        DigitData.Write(_images, [0, 1], 20);
        var trained = await TrainerProcess.RunAsync(["train", .. small, "--k", "2", "--precision", "bfloat16", "--images", _images, "--output", _output]);
        Assert.That(trained.Code, Is.Zero, trained.Errors);

        string[] test = ["test", .. small, "--k", "2", "--image", Path.Combine(_images, "1", "0.png"), "--output", _output];
        var same = await TrainerProcess.RunAsync([.. test, "--precision", "bfloat16"]);
        Assert.That(same.Code, Is.Zero, same.Errors);
        Assert.That(same.Output, Does.StartWith("label: "));
        var other = await TrainerProcess.RunAsync(test);
        Assert.That(other.Code, Is.Not.Zero);
        Assert.That(other.Errors, Does.Contain("Nothing was trained for these parameters"));
    }

    [Test]
    public async Task Train_ThatGetsNoBetter_SaysWhereItWasStopped()
    {
        DigitData.Write(_images, [0, 1], 20);
        var (code, _, errors) = await TrainerProcess.RunAsync(
            ["train", "--i", "1e-7", .. Small[2..], "--k", "5000", "--patience", "1", "--patience-metric", "accuracy", "--images", _images, "--output", _output]);
        Assert.That(code, Is.Zero, errors);
        Assert.That(errors, Does.Match("stopped early at step [1-9]00"));
    }

    [Test]
    public async Task Train_OnOtherImages_StartsOver()
    {
        DigitData.Write(_images, [0, 1], 20);
        Assert.That((await TrainAsync("30")).Code, Is.Zero);
        var trained = Directory.GetDirectories(Path.Combine(_output, "trained")).Single();
        await File.WriteAllTextAsync(Path.Combine(trained, "checkpoint-old.safetensors"), "kept by hand");
        DigitData.Write(_images, [2], 20);
        var (code, printed, errors) = await TrainAsync("20");
        Assert.That(code, Is.Zero, errors);
        Assert.That(errors, Does.Not.Contain("starts over"), "there is no checkpoint up to step 20");
        Assert.That(Accuracy(printed), Is.InRange(0, 1));

        // The checkpoint at step 30 is of other images; that at step 20 fits.
        Assert.That((await TrainAsync("40")).Errors, Does.Contain("checkpoint-30.safetensors: The checkpoint was made on the data set").And.Contains("going on from step 20"));
        DigitData.Write(_images, [3], 20);
        Assert.That((await TrainAsync("50")).Errors, Does.Contain("starts over"));
    }

    [Test]
    public async Task Train_OnNamedSplitsInOneFolder_UsesThem()
    {
        foreach (var (split, perDigit, first) in new[] { ("train", 12, 0), ("validation", 5, 100), ("test", 3, 200) })
            DigitData.Write(Path.Combine(_images, "digits", split), [3, 7], perDigit, first);
        var (code, _, errors) = await TrainAsync("5", "--size", "16x12", "--channels", "3");
        Assert.That(code, Is.Zero, errors);
        using var data = PackedDataSet.Open(Directory.GetFiles(Path.Combine(_output, "data")).Single());
        Assert.That((data.Train.Count, data.Validation.Count, data.Test.Count), Is.EqualTo((24, 10, 6)));
        Assert.That((data.Shape, data.Classes), Is.EqualTo((new ImageShape(16, 12, 3), new[] { "3", "7" })));
    }

    [Test]
    public async Task Train_OnWhatIsNoDataSet_SaysWhatToDo()
    {
        await CheckAsync("holds no images", "5");
        DigitData.Write(_images, [5], 5);
        await CheckAsync("single class, '5'", "5");
        DigitData.Write(_images, [6], 20);
        await File.WriteAllTextAsync(Path.Combine(_images, "6", "notes.txt"), "no image");
        await CheckAsync("notes.txt can't be used", "5");
        _images = Path.Combine(_images, "none");
        await CheckAsync("There is no folder", "5");
    }

    [Test]
    public async Task Train_OnAFileThatCannotBeRead_SaysSo()
    {
        DigitData.Write(_images, [0, 1], 4);
        File.CreateSymbolicLink(Path.Combine(_images, "0", "x.png"), Path.Combine(_images, "gone.png"));
        await CheckAsync("x.png", "5");
    }

    [Test]
    public void Guarded_FailureInAParallelLoop_IsOneLine()
    {
        var errors = Console.Error;
        using var captured = new StringWriter();
        Console.SetError(captured);
        try
        {
            Assert.That(CommandLine.Guarded(() => throw new AggregateException(new InvalidDataException("a.png can't be used."))), Is.EqualTo(1));
            Assert.That(captured.ToString(), Is.EqualTo($"error: a.png can't be used.{Environment.NewLine}"));
            Assert.That(() => CommandLine.Guarded(() => throw new AggregateException(new NotSupportedException())), Throws.TypeOf<AggregateException>());
        }
        finally
        {
            Console.SetError(errors);
        }
    }

    [Test]
    public async Task Train_AfterKilledRuns_RemovesWhatTheyLeft()
    {
        DigitData.Write(_images, [0, 1], 20);
        Assert.That((await TrainAsync("5")).Code, Is.Zero);
        var trained = Directory.GetDirectories(Path.Combine(_output, "trained")).Single();
        var old = new[] { Path.Combine(_output, "data", "a.safetensors.1.tmp"), Path.Combine(trained, "step-9.safetensors.2.tmp") };
        var young = Path.Combine(trained, "step-9.safetensors.3.tmp");
        foreach (var path in old.Append(young)) await File.WriteAllTextAsync(path, "half");
        foreach (var path in old) File.SetLastWriteTimeUtc(path, TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-2));
        Assert.That((await TrainAsync("6")).Code, Is.Zero);
        Assert.That(old, Is.All.Not.Exist);
        Assert.That(young, Does.Exist);
    }

    [TestCase("--j: layers is a whole number.", "--j", "two")]
    [TestCase("--size", "--size", "28")]
    [TestCase("8 to 224", "--size", "7x300")]
    [TestCase("--channels", "--channels", "2")]
    [TestCase("--frobnicate", "--frobnicate", "2")]
    public async Task Train_WithABadArgument_NamesIt(string reason, string option, string value)
    {
        var arguments = new List<string> { "train", "--images", _images, "--output", _output };
        foreach (var (name, standard) in new[] { ("--i", "0.001"), ("--j", "1"), ("--k", "5") })
            arguments.AddRange([name, name == option ? value : standard]);
        if (option is not ("--i" or "--j" or "--k")) arguments.AddRange([option, value]);

        var (code, _, errors) = await TrainerProcess.RunAsync([.. arguments]);
        Assert.That(code, Is.Not.Zero);
        Assert.That(errors, Does.Contain(reason).And.Not.Contains("   at "));
    }

    [Test]
    public async Task Test_OfWhatIsNoImage_SaysSo()
    {
        DigitData.Write(_images, [0, 1], 20);
        Assert.That((await TrainAsync("5")).Code, Is.Zero);
        var file = Path.Combine(_digits.Folder, "no.png");
        await File.WriteAllTextAsync(file, "no image");
        foreach (var (path, reason) in new[] { (file, "can't be used"), (file + "x", "no.pngx") })
        {
            var (code, _, errors) = await TrainerProcess.RunAsync(["test", .. Small, "--k", "5", "--image", path, "--output", _output]);
            Assert.That(code, Is.Not.Zero);
            Assert.That(errors, Does.Contain(reason).And.Not.Contains("   at "));
        }
    }

    private async Task CheckAsync(string reason, string steps)
    {
        var (code, _, errors) = await TrainAsync(steps);
        Assert.That(code, Is.Not.Zero);
        Assert.That(errors, Does.Contain(reason).And.Not.Contains("   at "));
    }

    private Task<(int Code, string Output, string Errors)> TrainAsync(string steps, params string[] more) =>
        TrainerProcess.RunAsync(["train", .. Small, "--k", steps, "--images", _images, "--output", _output, .. more]);

    private static double Accuracy(string printed)
    {
        var last = printed.TrimEnd().Split('\n')[^1];
        Assert.That(last, Does.Match("^accuracy: [01]\\.[0-9]{4}$"));
        return double.Parse(last["accuracy: ".Length..], CultureInfo.InvariantCulture);
    }

    [GeneratedRegex("3 epochs of ([0-9]+) images in batches of 16 are ([0-9]+) steps\n")]
    private static partial Regex StepsOfEpochs();
}
