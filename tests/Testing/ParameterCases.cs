using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using MlExperiments.Shared.Search;

namespace MlExperiments.Testing;

/// <summary>One value of one parameter, at the edge of what is allowed or just beyond.</summary>
/// <param name="Json">As JSON has it: <c>0.1</c>, <c>"adam"</c>.</param>
/// <param name="IsAllowed">Whether whoever reads it must take it.</param>
public sealed record ParameterCase(ParameterDefinition Definition, string Json, bool IsAllowed)
{
    /// <summary>As a command line has it; null for a string that holds a number, which looks there as the number does.</summary>
    public string? Text => Json is not ['"', .. var text, '"'] ? Json
        : Definition.IsNumber && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? null
        : text;

    /// <summary>A whole set of parameters with this one, by name, and with those that it counts beside.</summary>
    public JsonObject Set()
    {
        var set = new JsonObject { ["learningRate"] = 0.1, ["layers"] = 1, ["steps"] = 10 };
        if (Definition.Name == ParameterDefinition.Epochs)
            set.Remove(ParameterDefinition.Steps);
        if (Beside(Definition.Name) is var (name, value))
            set[name] = value;
        set[Definition.Name] = JsonNode.Parse(Json);
        return set;
    }

    public override string ToString() => $"{Definition.Name} {Json}";

    private static (string Name, JsonNode Value)? Beside(string name) => name switch
    {
        "momentum" => ("optimizer", "sgd"),
        "decayEvery" or "decayFactor" => ("schedule", "step"),
        "patienceMetric" => ("patience", 1),
        _ => null,
    };
}

/// <summary>The cases of every parameter there is, for each of the doors that parameters come in by.</summary>
public static class ParameterCases
{
    // Of another type than any parameter, or no number where JSON or a reader of text might let it pass for one.
    private static readonly string[] NoValues = ["true", "[1]", "{}", "\"\"", "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "\"1,5\"", "\"0x10\"", "1e999", "-1e999"];

    public static IEnumerable<ParameterCase> All => ParameterDefinition.All.Values.SelectMany(Of);

    private static IEnumerable<ParameterCase> Of(ParameterDefinition definition)
    {
        var allowed = (definition.Allowed ?? [definition.Minimum!, definition.Maximum!]).Select(Json).ToList();
        var refused = NoValues.Concat(definition.Type == typeof(string) ? BeyondWords(definition) : BeyondNumbers(definition)).Except(allowed);
        return allowed.Select(json => new ParameterCase(definition, json, true)).Concat(refused.Select(json => new ParameterCase(definition, json, false)));
    }

    private static IEnumerable<string> BeyondWords(ParameterDefinition definition) =>
        definition.Allowed!.SelectMany(word => new[] { $"{word}".ToUpperInvariant(), $" {word}", $"{word}s" }).Select(Json).Append("1");

    private static IEnumerable<string> BeyondNumbers(ParameterDefinition definition)
    {
        // In quotation marks it's text.
        yield return $"\"{definition.Maximum ?? definition.Allowed![0]}\"";
        if (definition.Type == typeof(double))
        {
            yield return Json(Math.BitDecrement((double)definition.Minimum!));
            yield return Json(Math.BitIncrement((double)definition.Maximum!));
            yield break;
        }

        yield return "1.5";
        yield return "99999999999";
        var (first, last) = ((int)(definition.Minimum ?? definition.Allowed!.Min()!), (int)(definition.Maximum ?? definition.Allowed!.Max()!));
        yield return Json(first - 1L);
        yield return Json(last + 1L);
        // Between the allowed ones.
        for (var number = first + 1; definition.Allowed is not null && number < last; number++)
            yield return Json(number);
    }

    private static string Json(object value) => JsonSerializer.Serialize(value);
}
