using System.Text.Json;

namespace MlExperiments.Shared.Search;

/// <summary>
/// The values of <c>{"min", "max", "scale", "step", "count"}</c>, both ends included: every <c>step</c> on the linear scale, or
/// <c>count</c> values evenly spread over the linear or the logarithmic scale, rounded to multiples of <c>step</c> where one is given.
/// </summary>
public static class ValueRange
{
    /// <summary>The most values of one range: beyond it, the request is a mistake.</summary>
    public const int MaxValues = 10_000;

    private static readonly string[] Members = ["min", "max", "scale", "step", "count"];

    /// <returns>Distinct values in ascending order; empty, with errors by path, where the range is wrong.</returns>
    public static IReadOnlyList<object> Read(ParameterDefinition definition, JsonElement range, string path, Dictionary<string, string[]> errors)
    {
        var before = errors.Count;
        if (!definition.IsNumber)
            errors.TryAdd(path, [$"{definition.Name} has no order: give a list of values."]);
        foreach (var member in range.EnumerateObject().Where(member => !Members.Contains(member.Name)))
            errors.TryAdd($"{path}.{member.Name}", [$"A range has {string.Join(", ", Members)}; it has no {member.Name}."]);
        var min = End("min");
        var max = End("max");
        var step = Positive("step");
        var count = Positive("count");
        var log = false;
        if (range.TryGetProperty("scale", out var scale))
        {
            var isText = scale.ValueKind == JsonValueKind.String;
            log = isText && scale.ValueEquals("log");
            if (!log && !(isText && scale.ValueEquals("linear")))
                errors.TryAdd($"{path}.scale", ["scale is linear or log."]);
        }

        if (errors.Count > before)
            return [];
        if (min > max)
            errors.TryAdd($"{path}.max", ["max is below min."]);
        else if (log && min <= 0)
            errors.TryAdd($"{path}.min", ["On the log scale, min is above 0."]);
        else if (definition.Type == typeof(int) && step is { } whole && whole != Math.Truncate(whole))
            errors.TryAdd($"{path}.step", [$"{definition.Name} is a whole number, and so is its step."]);
        else if (count is { } number && (number != Math.Truncate(number) || number > MaxValues))
            errors.TryAdd($"{path}.count", [$"count is a whole number, 1 to {MaxValues}."]);
        else if (count is null && (log || step is null))
            errors.TryAdd($"{path}.count", [log
                ? "Give count: how many values to spread over the log scale."
                : "Give step (the distance between two values) or count (how many to spread from min to max)."]);
        else if (count is null && (max - min) / step >= MaxValues)
            errors.TryAdd($"{path}.step", [$"These are more than {MaxValues} values: take a larger step."]);
        if (errors.Count > before)
            return [];

        var spread = count is { } points
            ? Enumerable.Range(0, (int)points).Select(index => Round(Spread(min!.Value, max!.Value, log, points == 1 ? 0 : index / (points - 1))))
            // The tolerance keeps max where binary fractions miss it by a hair.
            : Enumerable.Range(0, (int)Math.Floor(((max!.Value - min!.Value) / step!.Value) + 1e-9) + 1).Select(index => Tidy(min!.Value + (index * step!.Value)));
        object[] values = [.. spread.Select(value => Math.Clamp(value, min!.Value, max!.Value))
            .Select(value => definition.Type == typeof(int) ? (object)(int)Math.Round(value) : value).Distinct()];

        // Between two values that are allowed there may be others that are not, such as an even kernelSize.
        var wrong = values.Select(definition.Check).FirstOrDefault(error => error is not null);
        if (wrong is null)
            return values;
        errors.TryAdd(path, [$"The range has values that are not allowed: {wrong}"]);
        return [];

        double? End(string name)
        {
            if (!range.TryGetProperty(name, out var value))
                errors.TryAdd($"{path}.{name}", ["A range has min and max."]);
            else if (definition.Read(value, out var error) is { } read)
                return definition.IsNumber ? Convert.ToDouble(read, System.Globalization.CultureInfo.InvariantCulture) : null;
            else
                errors.TryAdd($"{path}.{name}", [error!]);
            return null;
        }

        double? Positive(string name)
        {
            if (!range.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
                return null;
            if (value.ValueKind == JsonValueKind.Number && value.GetDouble() is > 0 and < double.PositiveInfinity and var number)
                return number;
            errors.TryAdd($"{path}.{name}", [$"{name} is a number above 0."]);
            return null;
        }

        double Round(double value)
        {
            // A step so small that the quotient overflows doesn't round anything.
            var rounded = step is { } multiple ? Math.Round(value / multiple) * multiple : value;
            return Tidy(double.IsFinite(rounded) ? rounded : value);
        }
    }

    private static double Spread(double min, double max, bool log, double share) =>
        log ? min * Math.Pow(max / min, share) : min + ((max - min) * share);

    /// <summary>0.30000000000000004 to 0.3: a person reads these, and equal values have equal fingerprints.</summary>
    private static double Tidy(double value) =>
        double.Parse(value.ToString("G12", System.Globalization.CultureInfo.InvariantCulture), System.Globalization.CultureInfo.InvariantCulture);
}
