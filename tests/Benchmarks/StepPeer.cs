using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training;
using MlExperiments.Training.Cli;
using MlExperiments.Training.Loop;

namespace MlExperiments.Benchmarks;

/// <summary>
/// Our side of the step benchmark, in a process of its own: the product's training loop, held before each round. It reads and writes
/// what <c>steps.py</c> does. A step here is everything between two of the loop's boundaries, gathering the batch included.
/// </summary>
internal sealed class StepPeer : ITrainingHost
{
    private readonly List<string> _times = [];
    private int _left;
    private long _wall;
    private TimeSpan _cpu;

    public static Command CreateCommand()
    {
        var layers = new Argument<int>("layers");
        var precision = new Argument<string>("precision");
        var command = new Command("steps", "One side of the step benchmark: reads numbers of steps, writes their times") { layers, precision };
        command.Hidden = true;
        command.SetAction(result => Train(result.GetValue(layers), result.GetValue(precision)!));
        return command;
    }

    public void Report(TrainingEvent happened)
    {
    }

    public void Attend(TrainingControl control)
    {
        if (_left > 0)
        {
            var (wall, cpu) = (Stopwatch.GetElapsedTime(_wall), Environment.CpuUsage.TotalTime - _cpu);
            _times.Add(string.Create(CultureInfo.InvariantCulture, $"{wall.TotalMilliseconds:F4}:{cpu.TotalMilliseconds:F4}"));
            if (--_left == 0) Console.WriteLine(string.Join(' ', _times));
        }

        if (_left == 0)
        {
            _times.Clear();
            if (Console.ReadLine() is { } line) _left = int.Parse(line, CultureInfo.InvariantCulture);
            else control.Abandoned = true;
        }

        (_wall, _cpu) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
    }

    private static int Train(int layers, string precision)
    {
        ProcessSettings.Apply();
        Engine.Start(Engine.Cpu);
        using var folder = new TemporaryFolder();
        var dataSet = Path.Combine(folder.Path, "digits.safetensors");
        string[] classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        using (var writer = new PackedDataSetWriter(dataSet, new(DigitPainter.Shape, classes, 6400, 100, 0, "digits")))
        {
            for (var row = 0; row < 6500; row++) writer.Write(row, DigitPainter.Paint(row % 10, row), row % 10);
            writer.Commit();
        }

        // Neither a point of the curves nor the milestone is ever reached.
        const int Never = 10_000_000;
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = layers, Dropout = 0, Precision = precision };
        using var run = new TrainingRun(new(Guid.NewGuid(), parameters, dataSet, [Never], null, folder.Path, Never, 0), new StepPeer());
        run.Train();
        return 0;
    }
}
