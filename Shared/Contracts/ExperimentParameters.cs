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

    /// <summary>Number of convolution blocks of <c>cnn</c>, 1 to 8; the residual networks have a depth of their own, and 1 here.</summary>
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

    /// <summary>Share of the dense units of <c>cnn</c> that is dropped in training, 0 to 0.95.</summary>
    [Range(0, 0.95)]
    public double Dropout { get; init; } = 0.5;

    /// <summary>Filters in the first block of <c>cnn</c>, 1 to 256; the later blocks have twice as many.</summary>
    [Range(1, 256)]
    public int Filters { get; init; } = 32;

    /// <summary>Side of the convolution kernels of <c>cnn</c> in pixels: 1, 3, 5, 7, 9 or 11.</summary>
    [AllowedValues(1, 3, 5, 7, 9, 11)]
    public int KernelSize { get; init; } = 3;

    /// <summary>Units of the dense layer of <c>cnn</c>, 1 to 4096.</summary>
    [Range(1, 4096)]
    public int DenseUnits { get; init; } = 128;

    /// <summary>
    /// The network: <c>cnn</c>, or a residual network (He et al. 2016), <c>resnet18</c>, <c>resnet34</c> or <c>resnet50</c>: torchvision's, but
    /// with a 3x3 convolution alone before the first block where a side is below 64 pixels.
    /// </summary>
    [AllowedValues("cnn", "resnet18", "resnet34", "resnet50")]
    public string Architecture { get; init; } = "cnn";

    /// <summary>Seed of all that is random: weights, shuffling, dropout, augmentation; 0 to 2147483647.</summary>
    [Range(0, int.MaxValue)]
    public int Seed { get; init; }

    /// <summary>
    /// How the learning rate falls with the steps done: <c>constant</c>; <c>step</c>, times decayFactor after each decayEvery steps; or
    /// <c>exponential</c>, the same smoothly, at every step. It doesn't depend on how many steps there will be.
    /// </summary>
    [AllowedValues("constant", "step", "exponential")]
    public string Schedule { get; init; } = "constant";

    /// <summary>Steps in which the learning rate falls to decayFactor of what it was, 1 to 10,000,000; not used by <c>constant</c>.</summary>
    [Range(1, 10_000_000)]
    public int DecayEvery { get; init; } = 1000;

    /// <summary>What the learning rate is multiplied by in decayEvery steps, 0.0001 to 1; not used by <c>constant</c>.</summary>
    [Range(0.0001, 1.0)]
    public double DecayFactor { get; init; } = 0.5;

    /// <summary>The first steps, over which the learning rate rises evenly to what it would be without, 0 (none) to 1,000,000; with any schedule.</summary>
    [Range(0, 1_000_000)]
    public int WarmUpSteps { get; init; }

    /// <summary>How far training images are shifted at most, in each direction, as a share of their side, 0 (none) to 0.5.</summary>
    [Range(0, 0.5)]
    public double AugmentShift { get; init; }

    /// <summary>How far training images are rotated at most, in degrees to either side, 0 (none) to 180.</summary>
    [Range(0.0, 180.0)]
    public double AugmentRotate { get; init; }

    /// <summary>By which share training images grow or shrink at most, 0 (none) to 0.5.</summary>
    [Range(0, 0.5)]
    public double AugmentScale { get; init; }

    /// <summary>
    /// What an image counts in the training loss: <c>none</c>, all the same; <c>balanced</c>, images / (classes x images of its class), so that
    /// all classes count the same (scikit-learn's formula). Validation and test count every image the same.
    /// </summary>
    [AllowedValues("none", "balanced")]
    public string ClassWeights { get; init; } = "none";

    /// <summary>
    /// Training ends early once so many points of the curves in a row are no better than the best one before, 1 to 10,000; 0 trains to the end.
    /// </summary>
    [Range(0, 10_000)]
    public int Patience { get; init; }

    /// <summary>What patience watches: <c>loss</c> (validationLoss) or <c>accuracy</c> (validationAccuracy).</summary>
    [AllowedValues("loss", "accuracy")]
    public string PatienceMetric { get; init; } = "loss";

    /// <summary>
    /// What all convolutions but the first compute in, of every architecture: <c>float32</c>, or <c>bfloat16</c>, which has its range and 8 bits of precision
    /// (Kalamkar et al. 2019, arXiv:1905.12322): activations between convolutions and these convolutions' gradients are rounded to it. Weights, the optimizer,
    /// batch norm and dense layers stay in float32 (mixed precision, Micikevicius et al. 2018, arXiv:1710.03740). It takes a quarter to a third of the time off a step on
    /// CPUs with AVX-512 BF16 or AMX, is meant for GPUs that compute in it, too, and is slow elsewhere; on x86 CPUs with FMA a <c>cnn</c> with 3x3 kernels and a
    /// multiple of 16 filters is faster in float32, even with AVX-512 BF16. Results differ slightly from those of float32. A <c>cnn</c> of one layer has no such convolution.
    /// </summary>
    [AllowedValues("float32", "bfloat16")]
    public string Precision { get; init; } = "float32";

    /// <summary>Learning rates that were set while it trained, by step, ascending; left out where there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<LearningRateChange>? LearningRateChanges { get; init; }

    /// <summary>Which repetition with the same seed this is, to see whether the same comes out; 0, the first, is left out.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Replicate { get; init; }

    /// <summary>The same without the steps.</summary>
    public TrajectoryParameters WithoutSteps() => new(this);

    /// <summary>The learning rate that was given for one step, which the schedule multiplies.</summary>
    /// <param name="step">Steps that are done before it, 0 the first.</param>
    public double LearningRateAt(int step) =>
        LearningRateChanges?.LastOrDefault(change => change.Step <= step)?.LearningRate ?? LearningRate;

    /// <summary>The learning rate that one step is done at.</summary>
    /// <param name="step">Steps that are done before it, 0 the first.</param>
    public double ScheduledRateAt(int step)
    {
        var rate = LearningRateAt(step) * Schedule switch
        {
            "step" => Math.Pow(DecayFactor, step / DecayEvery),
            "exponential" => Math.Pow(DecayFactor, (double)step / DecayEvery),
            _ => 1,
        };
        return step < WarmUpSteps ? rate * (step + 1) / WarmUpSteps : rate;
    }
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

    /// <summary>The same training in one way of writing it: what it doesn't use has its default.</summary>
    public ExperimentParameters Normalized()
    {
        var usual = new ExperimentParameters { LearningRate = LearningRate, Layers = 1, Steps = Steps };
        var normalized = this;
        if (Optimizer == "adam")
            normalized = normalized with { Momentum = usual.Momentum };
        if (Schedule == "constant")
            normalized = normalized with { DecayEvery = usual.DecayEvery, DecayFactor = usual.DecayFactor };
        if (Patience == 0)
            normalized = normalized with { PatienceMetric = usual.PatienceMetric };
        if (Architecture == "cnn" && Layers == 1)
            normalized = normalized with { Precision = usual.Precision };
        if (Architecture != "cnn")
        {
            normalized = normalized with
            {
                Layers = usual.Layers, Dropout = usual.Dropout, Filters = usual.Filters, KernelSize = usual.KernelSize, DenseUnits = usual.DenseUnits,
            };
        }

        return normalized;
    }
}
