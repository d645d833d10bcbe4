using System.CommandLine;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Cli;

/// <summary>The hyper-parameters as options, with the names and defaults of the contract.</summary>
internal sealed class ParameterOptions
{
    private static readonly TrajectoryParameters Defaults = new() { LearningRate = 0.001, Layers = 2 };

    private readonly Option<double> _learningRate = new("--i", "--learning-rate") { Description = "Learning rate, 1e-7 to 10", Required = true };
    private readonly Option<int> _layers = new("--j", "--layers") { Description = "Convolution blocks, 1 to 8", Required = true };
    private readonly Option<int> _steps = new("--k", "--steps") { Description = "Training steps, 1 to 10,000,000", Required = true };
    private readonly Option<int> _batchSize = Create("--batch-size", "Images per step, 1 to 1024", Defaults.BatchSize);
    private readonly Option<string> _optimizer = Create("--optimizer", "adam or sgd", Defaults.Optimizer);
    private readonly Option<double> _momentum = Create("--momentum", "Momentum of sgd, 0 to 0.999", Defaults.Momentum);
    private readonly Option<double> _weightDecay = Create("--weight-decay", "L2 penalty, 0 to 1", Defaults.WeightDecay);
    private readonly Option<double> _dropout = Create("--dropout", "Share of the dense units that is dropped in training, 0 to 0.95", Defaults.Dropout);
    private readonly Option<int> _filters = Create("--filters", "Filters in the first block, 1 to 256; the later ones have twice as many", Defaults.Filters);
    private readonly Option<int> _kernelSize = Create("--kernel-size", "Side of the kernels: 1, 3, 5, 7, 9 or 11 pixels", Defaults.KernelSize);
    private readonly Option<int> _denseUnits = Create("--dense-units", "Units of the dense layer, 1 to 4096", Defaults.DenseUnits);
    private readonly Option<string> _architecture = Create("--architecture", "The network: cnn", Defaults.Architecture);
    private readonly Option<int> _seed = Create("--seed", "Seed of all that is random", Defaults.Seed);

    public void AddTo(Command command)
    {
        foreach (var option in new Option[]
        {
            _learningRate, _layers, _steps, _batchSize, _optimizer, _momentum, _weightDecay, _dropout, _filters, _kernelSize, _denseUnits, _architecture, _seed,
        })
        {
            command.Options.Add(option);
        }
    }

    /// <exception cref="InvalidDataException">A value is out of its range.</exception>
    public ExperimentParameters Read(ParseResult result)
    {
        var parameters = new ExperimentParameters
        {
            LearningRate = result.GetValue(_learningRate),
            Layers = result.GetValue(_layers),
            Steps = result.GetValue(_steps),
            BatchSize = result.GetValue(_batchSize),
            Optimizer = result.GetValue(_optimizer)!,
            Momentum = result.GetValue(_momentum),
            WeightDecay = result.GetValue(_weightDecay),
            Dropout = result.GetValue(_dropout),
            Filters = result.GetValue(_filters),
            KernelSize = result.GetValue(_kernelSize),
            DenseUnits = result.GetValue(_denseUnits),
            Architecture = result.GetValue(_architecture)!,
            Seed = result.GetValue(_seed),
        };
        TrainCommandCheck.ThrowIfInvalid(parameters);
        return parameters;
    }

    private static Option<T> Create<T>(string name, string description, T standard) =>
        new(name) { Description = description, DefaultValueFactory = _ => standard };
}
