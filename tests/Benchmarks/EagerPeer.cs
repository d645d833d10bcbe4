using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using MlExperiments.Training;
using MlExperiments.Training.Cli;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Benchmarks;

/// <summary>
/// A peer of the step benchmark, in a process of its own: train.py's network from TorchSharp's own modules, on the same libtorch as ours. It reads
/// and writes what <c>steps.py</c> does. The batch lies in memory as floats.
/// </summary>
internal static class EagerPeer
{
    public static Command CreateCommand()
    {
        var layers = new Argument<int>("layers");
        var tuned = new Option<bool>("--tuned");
        var command = new Command("eager", "A peer of the step benchmark: reads numbers of steps, writes their times") { layers, tuned };
        command.Hidden = true;
        command.SetAction(result => Run(result.GetValue(layers), result.GetValue(tuned)));
        return command;
    }

    /// <param name="tuned">With channels last, and the environment of our trainers (mimalloc).</param>
    private static int Run(int layers, bool tuned)
    {
        if (tuned) ProcessSettings.Apply();
        Engine.Start(Engine.Cpu);
        random.manual_seed(0);
        using var model = CreateModel(layers, tuned);
        using var optimizer = optim.Adam(model.parameters(), lr: 0.001);
        using var images = tuned ? ChannelsLast(rand(64, 1, 28, 28)) : rand(64, 1, 28, 28);
        using var labels = randint(10, 64);
        while (Console.ReadLine() is { } line)
        {
            var times = new List<string>();
            for (var step = int.Parse(line, CultureInfo.InvariantCulture); step > 0; step--)
            {
                var (wall, cpu) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
                TrainStep(model, optimizer, images, labels);
                times.Add(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Stopwatch.GetElapsedTime(wall).TotalMilliseconds:F4}:{(Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds:F4}"));
            }

            Console.WriteLine(string.Join(' ', times));
        }

        return 0;
    }

    private static void TrainStep(Module<Tensor, Tensor> model, optim.Optimizer optimizer, Tensor images, Tensor labels)
    {
        using var scope = NewDisposeScope();
        optimizer.zero_grad();
        var loss = functional.cross_entropy(model.call(images), labels);
        loss.backward();
        optimizer.step();
    }

    private static Sequential CreateModel(int layers, bool channelsLast)
    {
        var modules = new List<Module<Tensor, Tensor>>();
        var (side, channels) = (28, 1);
        for (var layer = 0; layer < layers; layer++)
        {
            var outputs = layer == 0 ? 32 : 64;
            var convolution = Conv2d(channels, outputs, 3, padding: 1);
            if (channelsLast) convolution.weight = new Parameter(ChannelsLast(convolution.weight.detach()));
            modules.AddRange([convolution, ReLU()]);
            if (side > 3)
            {
                modules.Add(MaxPool2d(2));
                side /= 2;
            }

            channels = outputs;
        }

        return Sequential([.. modules, Flatten(), Linear(channels * side * side, 128), ReLU(), Linear(128, 10)]);
    }

    private static Tensor ChannelsLast(Tensor tensor) => tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
}
