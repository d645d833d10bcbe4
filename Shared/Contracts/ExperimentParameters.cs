using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace MlExperiments.Shared.Contracts;

/// <summary>
/// What makes one training: every hyper-parameter but the number of steps. Two experiments that agree in these share
/// a trajectory. Fingerprints leave out what has its default, so a new parameter has one, which stands for what was done
/// before it; a default, once released, stays.
/// </summary>
public record TrajectoryParameters
{
    /// <summary>Step size of the optimizer, 1e-7 to 10.</summary>
    [Range(1e-7, 10)]
    public required double LearningRate { get; init; }

    /// <summary>Number of convolution blocks, 1 to 8.</summary>
    [Range(1, 8)]
    public required int Layers { get; init; }

    /// <summary>Images per step, 1 to 1024.</summary>
    [Range(1, 1024)]
    public int BatchSize { get; init; } = 64;

    /// <summary><c>adam</c> (Kingma and Ba 2015, betas 0.9 and 0.999, epsilon 1e-8) or <c>sgd</c>.</summary>
    [AllowedValues("adam", "sgd")]
    public string Optimizer { get; init; } = "adam";

    /// <summary>Momentum of <c>sgd</c>, 0 to 0.999; not used by <c>adam</c>.</summary>
    [Range(0, 0.999)]
    public double Momentum { get; init; }

    /// <summary>L2 penalty that is added to the gradient, 0 to 1.</summary>
    [Range(0.0, 1.0)]
    public double WeightDecay { get; init; }

    /// <summary>Share of the dense units that is dropped in training, 0 to 0.95.</summary>
    [Range(0, 0.95)]
    public double Dropout { get; init; } = 0.5;

    /// <summary>Filters in the first block, 1 to 256; the later blocks have twice as many.</summary>
    [Range(1, 256)]
    public int Filters { get; init; } = 32;

    /// <summary>Side of the convolution kernel in pixels: 1, 3, 5, 7, 9 or 11.</summary>
    [AllowedValues(1, 3, 5, 7, 9, 11)]
    public int KernelSize { get; init; } = 3;

    /// <summary>Units of the dense layer, 1 to 4096.</summary>
    [Range(1, 4096)]
    public int DenseUnits { get; init; } = 128;

    /// <summary>The network: <c>cnn</c>.</summary>
    [AllowedValues("cnn")]
    public string Architecture { get; init; } = "cnn";

    /// <summary>Seed of all that is random: weights, shuffling, dropout; 0 to 2147483647.</summary>
    [Range(0, int.MaxValue)]
    public int Seed { get; init; }

    /// <summary>Learning rates that were set while it trained, by step, ascending; left out where there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<LearningRateChange>? LearningRateChanges { get; init; }

    /// <summary>Which repetition with the same seed this is, to see whether the same comes out; 0, the first, is left out.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Replicate { get; init; }

    /// <summary>The same without the steps.</summary>
    public TrajectoryParameters WithoutSteps() => new(this);

    /// <summary>The learning rate of one step.</summary>
    /// <param name="step">Steps that are done before it, 0 the first.</param>
    public double LearningRateAt(int step) =>
        LearningRateChanges?.LastOrDefault(change => change.Step <= step)?.LearningRate ?? LearningRate;
}

/// <param name="Step">Steps that were done before it holds, 1 or more.</param>
/// <param name="LearningRate">From then on, 1e-7 to 10.</param>
public sealed record LearningRateChange(int Step, double LearningRate);

/// <summary>The whole set of parameters of one experiment: a trajectory's, and the step at which it is measured.</summary>
public sealed record ExperimentParameters : TrajectoryParameters
{
    /// <summary>Training steps (batches), 1 to 10,000,000.</summary>
    [Range(1, 10_000_000)]
    public required int Steps { get; init; }

    /// <summary>The same training in one way of writing it: adam takes no momentum.</summary>
    public ExperimentParameters Normalized() => Optimizer == "adam" ? this with { Momentum = 0 } : this;
}
