using System.CommandLine;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Cli;

/// <summary>The hyper-parameters as options, with the names and defaults of the contract.</summary>
internal sealed class ParameterOptions
{
    private static readonly TrajectoryParameters Defaults = new() { LearningRate = 0.001, Layers = 2 };

    private readonly Option<double> _learningRate = new("--i", "--learning-rate") { Description = "Learning rate, 1e-7 to 10", Required = true };
    private readonly Option<int> _layers = new("--j", "--layers") { Description = "Convolution blocks, 1 to 8; needed by cnn" };
    private readonly Option<int> _steps = new("--k", "--steps") { Description = "Training steps, 1 to 10,000,000", Required = true };
    private readonly Option<int> _batchSize = Create("--batch-size", "Images per step, 1 to 1024", Defaults.BatchSize);
    private readonly Option<string> _optimizer = Create("--optimizer", "adam or sgd", Defaults.Optimizer);
    private readonly Option<double> _momentum = Create("--momentum", "Momentum of sgd, 0 to 0.999", Defaults.Momentum);
    private readonly Option<double> _weightDecay = Create("--weight-decay", "L2 penalty, 0 to 1", Defaults.WeightDecay);
    private readonly Option<double> _dropout = Create("--dropout", "Share of the dense units that is dropped in training, 0 to 0.95", Defaults.Dropout);
    private readonly Option<int> _filters = Create("--filters", "Filters in the first block, 1 to 256; the later ones have twice as many", Defaults.Filters);
    private readonly Option<int> _kernelSize = Create("--kernel-size", "Side of the kernels: 1, 3, 5, 7, 9 or 11 pixels", Defaults.KernelSize);
    private readonly Option<int> _denseUnits = Create("--dense-units", "Units of the dense layer, 1 to 4096", Defaults.DenseUnits);
    private readonly Option<string> _architecture = Create("--architecture", "The network: cnn, resnet18, resnet34 or resnet50", Defaults.Architecture);
    private readonly Option<int> _seed = Create("--seed", "Seed of all that is random, 0 to 2147483647", Defaults.Seed);
    private readonly Option<string> _schedule = Create("--schedule", "How the learning rate falls: constant, step or exponential", Defaults.Schedule);
    private readonly Option<int> _decayEvery = Create("--decay-every", "Steps in which it falls by the decay factor, 1 to 10,000,000", Defaults.DecayEvery);
    private readonly Option<double> _decayFactor = Create("--decay-factor", "What it is multiplied by in so many steps, 0.0001 to 1", Defaults.DecayFactor);
    private readonly Option<int> _warmUpSteps = Create("--warm-up-steps", "First steps, over which it rises evenly, 0 to 1,000,000", Defaults.WarmUpSteps);
    private readonly Option<double> _augmentShift = Create("--augment-shift", "Most that training images are shifted, as a share of their side, 0 to 0.5", Defaults.AugmentShift);
    private readonly Option<double> _augmentRotate = Create("--augment-rotate", "Most that they are rotated, in degrees, 0 to 180", Defaults.AugmentRotate);
    private readonly Option<double> _augmentScale = Create("--augment-scale", "Share by which they grow or shrink at most, 0 to 0.5", Defaults.AugmentScale);
    private readonly Option<string> _classWeights = Create("--class-weights", "What images count in the loss: none (all the same) or balanced (all classes the same)", Defaults.ClassWeights);
    private readonly Option<int> _patience = Create("--patience", "Stop early after so many measurements, 1 to 10,000, one each 100 steps, that are no better; 0 never", Defaults.Patience);
    private readonly Option<string> _patienceMetric = Create("--patience-metric", "What has to get better on the validation images: loss or accuracy", Defaults.PatienceMetric);
    private readonly Option<string> _precision = Create("--precision", "What all convolutions but the first compute in: float32, or bfloat16: up to twice as fast on CPUs with AVX-512 BF16 or AMX (but not for 3x3 kernels of a multiple of 16 filters), for GPUs too, slow elsewhere; results differ slightly", Defaults.Precision);

    public void AddTo(Command command)
    {
        foreach (var option in new Option[]
        {
            _learningRate, _layers, _steps, _batchSize, _optimizer, _momentum, _weightDecay, _dropout, _filters, _kernelSize, _denseUnits, _architecture, _seed,
            _schedule, _decayEvery, _decayFactor, _warmUpSteps, _augmentShift, _augmentRotate, _augmentScale, _classWeights, _patience, _patienceMetric, _precision,
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
            Layers = result.GetResult(_layers) is null && result.GetValue(_architecture) != Defaults.Architecture ? 1 : result.GetValue(_layers),
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
            Schedule = result.GetValue(_schedule)!,
            DecayEvery = result.GetValue(_decayEvery),
            DecayFactor = result.GetValue(_decayFactor),
            WarmUpSteps = result.GetValue(_warmUpSteps),
            AugmentShift = result.GetValue(_augmentShift),
            AugmentRotate = result.GetValue(_augmentRotate),
            AugmentScale = result.GetValue(_augmentScale),
            ClassWeights = result.GetValue(_classWeights)!,
            Patience = result.GetValue(_patience),
            PatienceMetric = result.GetValue(_patienceMetric)!,
            Precision = result.GetValue(_precision)!,
        };
        if (result.GetResult(_layers) is null && parameters.Layers == 0) throw new InvalidDataException("Option '--j' is required by cnn.");
        TrainCommandCheck.ThrowIfInvalid(parameters);
        return parameters.Normalized();
    }

    private static Option<T> Create<T>(string name, string description, T standard) =>
        new(name) { Description = description, DefaultValueFactory = _ => standard };
}
