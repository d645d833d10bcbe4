using System.Globalization;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Cli;

/// <summary>A training's results by class, as JSON beside its weights and as lines for a person.</summary>
/// <param name="Classes">The names, in the order of the counts.</param>
/// <param name="Test">Null where there are no test images.</param>
internal sealed record ClassReport(IReadOnlyList<string> Classes, ClassMeasurement Validation, ClassMeasurement? Test)
{
    /// <summary>Where it lies.</summary>
    public static string PathOf(string weights) => Path.ChangeExtension(weights, "classes.json");

    /// <summary>Writes it, whole or not at all.</summary>
    public void Save(string path)
    {
        var unfinished = $"{path}.tmp";
        File.WriteAllText(unfinished, JsonSerializer.Serialize(this, ContractJson.Options));
        File.Move(unfinished, path, overwrite: true);
    }

    /// <returns>Null where there is none, as of what was trained before they were written.</returns>
    /// <exception cref="InvalidDataException">It was altered.</exception>
    public static ClassReport? Read(string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<ClassReport>(File.ReadAllText(path), ContractJson.Options);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path} can't be read: {error.Message}", error);
        }
    }

    /// <summary>A line for each class of each split, and one for their means.</summary>
    public IEnumerable<string> Lines() =>
        Lines("validation", Validation).Concat(Test is null ? [] : Lines("test", Test));

    private IEnumerable<string> Lines(string split, ClassMeasurement measured) =>
    [
        .. ClassScores.Of(measured).Select((score, c) => Line(split, Classes[c], score, measured.Images[c])),
        Line(split, "mean", ClassScores.Macro(measured), measured.Images.Sum()),
    ];

    private static string Line(string split, string name, ClassScore score, int images) => string.Create(
        CultureInfo.InvariantCulture, $"{split} {name}: precision {score.Precision:F4}, recall {score.Recall:F4}, F1 {score.F1:F4}, {images} images");
}
