using System.CommandLine;
using System.Globalization;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;

namespace MlExperiments.Training.Cli;

/// <summary><c>test</c>: classifies one image with what was trained for the same parameters.</summary>
internal static class TestVerb
{
    public static Command Create()
    {
        var parameters = new ParameterOptions();
        var image = new Option<FileInfo>("--image") { Description = "PNG, JPEG, GIF, BMP or WebP file", Required = true };
        var output = TrainedFolder.CreateOption();
        var device = DeviceOption.Create();
        var command = new Command("test", "Classify an image with what was trained for these parameters") { image, output, device };
        parameters.AddTo(command);
        command.SetAction(result => CommandLine.Guarded(() => Test(
            parameters.Read(result), result.GetValue(image)!, TrainedFolder.At(result.GetValue(output)), result.GetValue(device)!)));
        return command;
    }

    private static int Test(AskedParameters asked, FileInfo image, TrainedFolder folder, string device)
    {
        Engine.Start(device);
        var weights = asked.Epochs is null ? folder.Weights(asked.Over(1, out _)!) : FindAfterEpochs(asked, folder);
        if (!File.Exists(weights))
        {
            throw new InvalidDataException(weights is null
                ? $"Nothing was trained for these parameters: {folder.Trajectory(asked.Trajectory)} has no weights after {asked.Epochs} epochs of any images; run train with them first."
                : $"Nothing was trained for these parameters ({weights} is missing); run train with them first.");
        }

        var file = File.ReadAllBytes(image.FullName);
        var (network, info) = WeightsFile.Read(weights);
        using (network)
        {
            var pixels = new byte[info.Shape.Size];
            if (!ImageDecoder.TryDecode(file, info.Shape, pixels, out var reason))
                throw new InvalidDataException($"{image.FullName} can't be used: {reason}.");

            var probabilities = Evaluation.Predict(network, [pixels])[0];
            var ranked = info.Classes.Zip(probabilities).OrderByDescending(pair => pair.Second).ToList();
            Console.WriteLine($"label: {ranked[0].First}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"confidence: {ranked[0].Second:F4}"));
            Console.WriteLine("probabilities:");
            foreach (var (label, probability) in ranked)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {label}: {probability:F4}"));
        }

        return 0;
    }

    // How many steps the epochs come to depends on the images: each data set that was packed is tried. Of several that were trained on, the last one counts.
    private static string? FindAfterEpochs(AskedParameters asked, TrainedFolder folder)
    {
        var trained = new List<string>();
        foreach (var path in folder.FindDataSets())
        {
            try
            {
                using var data = PackedDataSet.Open(path);
                if (asked.Over(data.Train.Count, out _) is { } parameters && folder.Weights(parameters) is var weights
                    && File.Exists(weights) && WeightsFile.ReadInfo(weights).DataSetHash == data.Hash)
                    trained.Add(weights);
            }
            catch (InvalidDataException error)
            {
                Console.Error.WriteLine($"{error.Message} It was left out.");
            }
        }

        var last = trained.MaxBy(File.GetLastWriteTimeUtc);
        if (trained.Count > 1) Console.Error.WriteLine($"These parameters were trained on several sets of images; the latest is used: {last}");
        return last;
    }
}
