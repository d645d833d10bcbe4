using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Shared.Onnx;
using MlExperiments.Training.Data;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;

namespace MlExperiments.Training.Cli;

/// <summary><c>train</c>: trains one experiment on a folder of images and prints its accuracy.</summary>
internal static partial class TrainVerb
{
    public static Command Create()
    {
        var parameters = new ParameterOptions();
        var images = new Option<DirectoryInfo>("--images")
        {
            Description = "Folder with a folder of images per class, or with train, validation and test above them",
            Required = true,
        };
        var size = new Option<string>("--size") { Description = "Width and height that images are resized to, 8x8 to 224x224", DefaultValueFactory = _ => "28x28" };
        var channels = new Option<int>("--channels") { Description = "1 (grey) or 3 (colour)", DefaultValueFactory = _ => 1 };
        var output = TrainedFolder.CreateOption();
        var device = DeviceOption.Create();
        var verbose = new Option<bool>("--verbose") { Description = "Print precision, recall and F1 of each class, too" };
        var onnx = new Option<bool>("--onnx") { Description = $"Write an ONNX file beside the weights, too (architecture {OnnxModel.Architecture})" };
        var command = new Command("train", "Train an experiment and print its accuracy") { images, size, channels, output, device, verbose, onnx };
        parameters.AddTo(command);
        command.SetAction(result => CommandLine.Guarded(() => Train(
            parameters.Read(result),
            result.GetValue(images)!,
            Shape(result.GetValue(size)!, result.GetValue(channels)),
            TrainedFolder.At(result.GetValue(output)),
            result.GetValue(device)!,
            result.GetValue(verbose),
            result.GetValue(onnx))));
        return command;
    }

    private static int Train(
        AskedParameters asked, DirectoryInfo images, ImageShape shape, TrainedFolder folder, string device, bool verbose, bool onnx)
    {
        if (onnx && asked.Trajectory.Architecture != OnnxModel.Architecture)
            throw new InvalidDataException($"--onnx writes networks of the architecture {OnnxModel.Architecture} only, and this one is {asked.Trajectory.Architecture}: leave it out.");
        Engine.Start(device);
        var files = ImageFolder.Scan(images.FullName);
        Console.Error.WriteLine($"reading {files.Count} images");
        var dataSet = FolderPacker.Pack(files, shape, folder.DataSets);
        var parameters = Over(asked, dataSet);
        var weights = folder.Weights(parameters);
        if (Accuracy(weights, dataSet, parameters, shape) is not { } accuracy)
        {
            using var progress = new ConsoleProgress(parameters);
            using var run = Start(parameters, dataSet, folder, progress);
            // Those of other images that were trained on before: where this is interrupted, none are better than these.
            File.Delete(ClassReport.PathOf(weights));
            File.Delete(OnnxOutput.PathOf(weights));
            progress.Show(run.Train);
            if (progress.Measured is not { } measured)
            {
                Console.Error.WriteLine("Stopped; the same command goes on from here.");
                return CommandLine.Interrupted;
            }

            accuracy = measured.Accuracy;
            SaveClasses(dataSet, measured, ClassReport.PathOf(weights));
        }

        if (verbose) PrintClasses(ClassReport.PathOf(weights));
        Console.WriteLine($"weights: {weights}");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"accuracy: {accuracy:F4}"));
        // Last: a disk that is full by now takes nothing of the above.
        if (onnx) Console.WriteLine($"onnx: {OnnxOutput.Save(weights)}");
        return 0;
    }

    private static ExperimentParameters Over(AskedParameters asked, string dataSet)
    {
        using var data = PackedDataSet.Open(dataSet);
        var parameters = asked.Over(data.Train.Count, out var error) ?? throw new InvalidDataException($"--epochs: {error}");
        if (asked.Epochs is { } epochs)
            Console.Error.WriteLine($"{epochs} epochs of {data.Train.Count} images in batches of {parameters.BatchSize} are {parameters.Steps} steps");
        return parameters;
    }

    private static void SaveClasses(string dataSet, MilestoneEvent measured, string path)
    {
        if (measured.Classes is null) return;
        using var data = PackedDataSet.Open(dataSet);
        new ClassReport(data.Classes, measured.Classes, measured.TestClasses).Save(path);
    }

    private static void PrintClasses(string path)
    {
        if (ClassReport.Read(path) is { } report)
        {
            foreach (var line in report.Lines()) Console.WriteLine(line);
            Console.WriteLine($"classes: {path}");
        }
        else
        {
            Console.Error.WriteLine("There are no results by class: they are kept of up to 10,000 classes, since this version.");
        }
    }

    // What was trained on these very images need not be trained again.
    private static double? Accuracy(string weights, string dataSet, ExperimentParameters parameters, ImageShape shape)
    {
        if (!File.Exists(weights)) return null;
        using var data = PackedDataSet.Open(dataSet);
        var info = WeightsFile.ReadInfo(weights);
        if (info.DataSetHash != data.Hash || info.Shape != shape || info.Parameters != parameters.WithoutSteps()) return null;
        Console.Error.WriteLine("This was trained before on the same images.");
        return info.Accuracy;
    }

    private static TrainingRun Start(ExperimentParameters parameters, string dataSet, TrainedFolder folder, ConsoleProgress progress)
    {
        var checkpoints = folder.Checkpoints(parameters);
        var command = new TrainCommand(
            Guid.NewGuid(), parameters.WithoutSteps(), dataSet, [parameters.Steps], null, folder.Trajectory(parameters.WithoutSteps()));
        foreach (var checkpoint in checkpoints)
        {
            try
            {
                return new(command with { Checkpoint = checkpoint }, progress);
            }
            catch (InvalidDataException error)
            {
                Console.Error.WriteLine(error.Message);
            }
        }

        if (checkpoints.Count > 0) Console.Error.WriteLine("None of the checkpoints is of use: training starts over.");
        return new(command, progress);
    }

    private static ImageShape Shape(string size, int channels)
    {
        var match = SizePattern().Match(size);
        if (!match.Success) throw new InvalidDataException($"--size is '{size}'; it must be like 28x28.");
        var (width, height) = (int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));
        if (channels is not (1 or 3)) throw new InvalidDataException($"--channels is {channels}; it must be 1 or 3.");
        var shape = new ImageShape(width, height, channels);
        return shape.IsValid
            ? shape
            : throw new InvalidDataException($"--size is '{size}'; each side must be {ImageShape.MinSide} to {ImageShape.MaxSide} pixels.");
    }

    [GeneratedRegex("^([0-9]{1,4})x([0-9]{1,4})$")]
    private static partial Regex SizePattern();
}
