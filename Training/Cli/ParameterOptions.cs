using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using MlExperiments.Shared.Search;

namespace MlExperiments.Training.Cli;

/// <summary>The hyper-parameters as options. Names, defaults and limits are those of the definitions, and what a service refuses is refused here, in the same words.</summary>
internal sealed class ParameterOptions
{
    /// <summary>What each one is, in the order of <c>--help</c>.</summary>
    internal static readonly (string Name, string Words)[] Words =
    [
        ("learningRate", "Learning rate; needed"),
        ("layers", "Convolution blocks; needed by cnn, of no use to others"),
        ("steps", "Training steps of one batch each; this or --epochs"),
        ("epochs", "Passes over the training images; this or --k"),
        ("batchSize", "Images per step"),
        ("optimizer", "What learns from the gradient"),
        ("momentum", "Momentum of sgd"),
        ("weightDecay", "L2 penalty"),
        ("dropout", "Share of a cnn's dense units that is dropped in training"),
        ("filters", "Filters in a cnn's first block; the later ones have twice as many"),
        ("kernelSize", "Side of a cnn's kernels in pixels"),
        ("denseUnits", "Units of a cnn's dense layer"),
        ("architecture", "The network"),
        ("seed", "Seed of all that is random"),
        ("schedule", "How the learning rate falls"),
        ("decayEvery", "Steps in which it falls by the decay factor"),
        ("decayFactor", "What it is multiplied by in so many steps"),
        ("warmUpSteps", "First steps, over which it rises evenly"),
        ("augmentShift", "Most that training images are shifted, as a share of their side"),
        ("augmentRotate", "Most that they are rotated, in degrees"),
        ("augmentScale", "Share by which they grow or shrink at most"),
        ("classWeights", "What images count in the loss: all the same, or all classes the same"),
        ("patience", "Stop early after so many measurements, one each 100 steps, that are no better; 0 never"),
        ("patienceMetric", "What has to get better on the validation images"),
        ("precision", "What all convolutions but the first compute in; bfloat16 is faster on some processors and slow on others, see the README, and results differ slightly"),
    ];

    private static readonly Dictionary<string, JsonElement> NoSpace = [];

    private readonly List<(ParameterDefinition Definition, Option<string> Option)> _options =
        [.. Words.Select(entry => ParameterDefinition.All[entry.Name]).Zip(Words, (definition, entry) => (definition, Create(definition, entry.Words)))];

    public void AddTo(Command command)
    {
        foreach (var (_, option) in _options) command.Options.Add(option);
    }

    /// <exception cref="InvalidDataException">A value is out of its range, missing, or of no use beside the others.</exception>
    public AskedParameters Read(ParseResult result)
    {
        var given = _options.Where(entry => result.GetResult(entry.Option) is { Implicit: false })
            .ToDictionary(entry => entry.Definition.Name, entry => ToJson(entry.Definition, result.GetValue(entry.Option)!));
        return SearchSpace.Read(NoSpace, given, out var errors) is { } space
            ? new(space)
            : throw new InvalidDataException(string.Join(" ", errors.Select(error => (Name: error.Key.Split('.')[1], Words: error.Value[0]))
                .Select(error => given.ContainsKey(error.Name) ? $"{ParameterDefinition.All[error.Name].Option}: {error.Words}" : Missing(error.Name))));
    }

    // Not for the parser to say: what is needed depends on what else is given.
    private static string Missing(string name) => name switch
    {
        ParameterDefinition.Layers => "Option '--j' is required by cnn.",
        ParameterDefinition.Steps => "Option '--k' or '--epochs' is required.",
        _ => $"Option '{ParameterDefinition.All[name].Option}' is required.",
    };

    // What is no number stays text, which is refused as such.
    private static JsonElement ToJson(ParameterDefinition definition, string text) =>
        definition.IsNumber && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? JsonSerializer.SerializeToElement(number)
            : JsonSerializer.SerializeToElement(text);

    private static Option<string> Create(ParameterDefinition definition, string words)
    {
        var option = new Option<string>(definition.Option) { Description = $"{words} ({definition.Limits})" };
        if (definition.LongOption != definition.Option) option.Aliases.Add(definition.LongOption);
        if (definition.Default is { } standard) option.DefaultValueFactory = _ => Convert.ToString(standard, CultureInfo.InvariantCulture)!;
        return option;
    }
}
