using System.CommandLine;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Cli;

/// <summary>The hyper-parameters as options, with the names and defaults of the contract.</summary>
internal sealed class ParameterOptions
{
    private static readonly TrajectoryParameters Defaults = new() { LearningRate = 0.001, Layers = 2 };

    private readonly Option<double> learningRate = new("--i", "--learning-rate") { Description = "Learning rate, 1e-7 to 10", Required = true };
    private readonly Option<int> layers = new("--j", "--layers") { Description = "Convolution blocks, 1 to 8", Required = true };
    private readonly Option<int> steps = new("--k", "--steps") { Description = "Training steps, 1 to 10,000,000", Required = true };
    private readonly Option<int> batchSize = Create("--batch-size", "Images per step, 1 to 1024", Defaults.BatchSize);
    private readonly Option<string> optimizer = Create("--optimizer", "adam or sgd", Defaults.Optimizer);
    private readonly Option<double> momentum = Create("--momentum", "Momentum of sgd, 0 to 0.999", Defaults.Momentum);
    private readonly Option<double> weightDecay = Create("--weight-decay", "L2 penalty, 0 to 1", Defaults.WeightDecay);
    private readonly Option<double> dropout = Create("--dropout", "Share of the dense units that is dropped in training, 0 to 0.95", Defaults.Dropout);
    private readonly Option<int> filters = Create("--filters", "Filters in the first block, 1 to 256; the later ones have twice as many", Defaults.Filters);
    private readonly Option<int> kernelSize = Create("--kernel-size", "Side of the kernels: 1, 3, 5, 7, 9 or 11 pixels", Defaults.KernelSize);
    private readonly Option<int> denseUnits = Create("--dense-units", "Units of the dense layer, 1 to 4096", Defaults.DenseUnits);
    private readonly Option<string> architecture = Create("--architecture", "The network: cnn", Defaults.Architecture);
    private readonly Option<int> seed = Create("--seed", "Seed of all that is random", Defaults.Seed);

    public void AddTo(Command command)
    {
        foreach (var option in new Option[]
        {
            learningRate, layers, steps, batchSize, optimizer, momentum, weightDecay, dropout, filters, kernelSize, denseUnits, architecture, seed,
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
            LearningRate = result.GetValue(learningRate),
            Layers = result.GetValue(layers),
            Steps = result.GetValue(steps),
            BatchSize = result.GetValue(batchSize),
            Optimizer = result.GetValue(optimizer)!,
            Momentum = result.GetValue(momentum),
            WeightDecay = result.GetValue(weightDecay),
            Dropout = result.GetValue(dropout),
            Filters = result.GetValue(filters),
            KernelSize = result.GetValue(kernelSize),
            DenseUnits = result.GetValue(denseUnits),
            Architecture = result.GetValue(architecture)!,
            Seed = result.GetValue(seed),
        };
        TrainCommandCheck.ThrowIfInvalid(parameters);
        return parameters;
    }

    private static Option<T> Create<T>(string name, string description, T standard) =>
        new(name) { Description = description, DefaultValueFactory = _ => standard };
}
