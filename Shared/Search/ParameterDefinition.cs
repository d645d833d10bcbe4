using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Search;

/// <summary>One parameter as a request names it. What it allows is read off <see cref="ExperimentParameters"/>, the one place that says so.</summary>
public sealed class ParameterDefinition
{
    /// <summary>Stands for steps: passes over the training split.</summary>
    public const string Epochs = "epochs";

    public const string Steps = "steps";

    public const string Layers = "layers";

    private static readonly ExperimentParameters Defaults = new() { LearningRate = 0, Layers = 0, Steps = 0 };

    private readonly RangeAttribute? _range;
    private readonly object?[]? _allowed;

    private ParameterDefinition(string name, Type type, RangeAttribute? range, object?[]? allowed, object? standard)
    {
        Name = name;
        Type = type;
        Default = standard;
        _range = range;
        _allowed = allowed;
    }

    /// <summary>camelCase, as on the wire.</summary>
    public string Name { get; }

    /// <summary><see cref="double"/>, <see cref="int"/> or <see cref="string"/>.</summary>
    public Type Type { get; }

    /// <summary>What it is without a word about it; null where it has to be given.</summary>
    public object? Default { get; }

    /// <summary>Whether there is no default; steps and epochs stand for each other.</summary>
    public bool IsRequired => Default is null && Name != Epochs;

    public bool IsNumber => Type != typeof(string);

    /// <summary>All parameters by name, <c>epochs</c> beside <c>steps</c>.</summary>
    public static IReadOnlyDictionary<string, ParameterDefinition> All { get; } = typeof(ExperimentParameters)
        .GetProperties(BindingFlags.Public | BindingFlags.Instance)
        // The others come about while it trains: nobody asks for them.
        .Where(property => property.IsDefined(typeof(RangeAttribute)) || property.IsDefined(typeof(AllowedValuesAttribute)))
        .Select(property => new ParameterDefinition(
            JsonNamingPolicy.CamelCase.ConvertName(property.Name),
            property.PropertyType,
            property.GetCustomAttribute<RangeAttribute>(),
            property.GetCustomAttribute<AllowedValuesAttribute>()?.Values,
            property.IsDefined(typeof(System.Runtime.CompilerServices.RequiredMemberAttribute)) ? null : property.GetValue(Defaults)))
        .Append(new ParameterDefinition(Epochs, typeof(int), new RangeAttribute(1, 100_000), null, null))
        .ToDictionary(definition => definition.Name);

    /// <summary>Reads one value: a <see cref="Type"/>, or null and what is wrong with it.</summary>
    public object? Read(JsonElement value, out string? error)
    {
        object? read = null;
        if (Type == typeof(string))
            read = value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        else if (value.ValueKind == JsonValueKind.Number)
            // Plus zero: -0.0 becomes 0.0, which is the same training and has the same fingerprint.
            read = Type == typeof(double) ? value.GetDouble() + 0.0 : ReadWhole(value);
        error = read is null ? $"{Name} is {Kind}." : Check(read);
        return error is null ? read : null;
    }

    /// <summary>Null when the value is allowed, else what is wrong with it.</summary>
    public string? Check(object value)
    {
        if (_allowed is not null && !_allowed.Contains(value))
            return $"{Name} is one of {string.Join(", ", _allowed)}.";
        return _range is null || _range.IsValid(value)
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"{Name} is {_range.Minimum} to {_range.Maximum}.");
    }

    private string Kind => Type == typeof(string) ? "a string" : Type == typeof(int) ? "a whole number" : "a number";

    /// <summary>1000, and 1e3 and 1000.0 too, which some clients write.</summary>
    private static object? ReadWhole(JsonElement value)
    {
        if (value.TryGetInt32(out var whole))
            return whole;
        var number = value.GetDouble();
        return number == Math.Truncate(number) && Math.Abs(number) <= int.MaxValue ? (int)number : null;
    }
}
