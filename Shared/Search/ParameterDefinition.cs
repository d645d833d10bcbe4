using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Search;

/// <summary>One parameter and what it allows, which is read off <see cref="ExperimentParameters"/>, the one place that says so.</summary>
public sealed class ParameterDefinition
{
    /// <summary>Stands for steps: passes over the training split.</summary>
    public const string Epochs = "epochs";

    public const string Steps = "steps";

    public const string Layers = "layers";

    private static readonly ExperimentParameters Defaults = new() { LearningRate = 0, Layers = 0, Steps = 0 };

    private readonly PropertyInfo? _property;
    private readonly RangeAttribute? _range;
    private readonly object?[]? _allowed;

    private ParameterDefinition(PropertyInfo property)
    {
        Name = JsonNamingPolicy.CamelCase.ConvertName(property.Name);
        Type = property.PropertyType;
        Default = property.IsDefined(typeof(RequiredMemberAttribute)) ? null : property.GetValue(Defaults);
        _property = property;
        _range = property.GetCustomAttribute<RangeAttribute>();
        _allowed = property.GetCustomAttribute<AllowedValuesAttribute>()?.Values;
    }

    // Epochs: no member of a set of parameters, which has the steps that they come to.
    private ParameterDefinition()
    {
        Name = Epochs;
        Type = typeof(int);
        _range = new(1, 100_000);
    }

    /// <summary>camelCase, as on the wire.</summary>
    public string Name { get; }

    /// <summary><see cref="double"/>, <see cref="int"/> or <see cref="string"/>.</summary>
    public Type Type { get; }

    /// <summary>What it is without a word about it; null where it has to be given.</summary>
    public object? Default { get; }

    /// <summary>The least that it may be; null where it is one of <see cref="Allowed"/>.</summary>
    public object? Minimum => _range?.Minimum;

    /// <summary>The most that it may be; null where it is one of <see cref="Allowed"/>.</summary>
    public object? Maximum => _range?.Maximum;

    /// <summary>All that it may be; null where it has a range.</summary>
    public IReadOnlyList<object>? Allowed => _allowed!;

    /// <summary>What it may be, in words: <c>1e-7 to 10</c>, or <c>adam or sgd</c>.</summary>
    public string Limits => _range is null
        ? $"{string.Join(", ", _allowed!.SkipLast(1))} or {_allowed![^1]}"
        : $"{Format(_range.Minimum)} to {Format(_range.Maximum)}";

    /// <summary>Whether there is no default; steps and epochs stand for each other.</summary>
    public bool IsRequired => Default is null && Name != Epochs;

    public bool IsNumber => Type != typeof(string);

    /// <summary>The name on the command line: <c>--batch-size</c>, and for the three that nearly all commands have, one letter: <c>--i</c>.</summary>
    public string Option => Name switch
    {
        "learningRate" => "--i",
        Layers => "--j",
        Steps => "--k",
        _ => LongOption,
    };

    public string LongOption => $"--{JsonNamingPolicy.KebabCaseLower.ConvertName(Name)}";

    /// <summary>All parameters by name, <c>epochs</c> beside <c>steps</c>.</summary>
    public static IReadOnlyDictionary<string, ParameterDefinition> All { get; } = typeof(ExperimentParameters)
        .GetProperties(BindingFlags.Public | BindingFlags.Instance)
        // The others come about while it trains: nobody asks for them.
        .Where(property => property.IsDefined(typeof(RangeAttribute)) || property.IsDefined(typeof(AllowedValuesAttribute)))
        .Select(property => new ParameterDefinition(property))
        .Append(new ParameterDefinition())
        .ToDictionary(definition => definition.Name);

    /// <summary>What is wrong with a whole set; its steps count where it has them.</summary>
    public static IEnumerable<string> Check(TrajectoryParameters parameters) =>
        from definition in All.Values
        let property = definition._property
        where property is not null && property.DeclaringType!.IsInstanceOfType(parameters)
        let error = definition.Check(property.GetValue(parameters))
        where error is not null
        select error;

    /// <summary>Reads one value: a <see cref="Type"/>, or null and what is wrong with it.</summary>
    public object? Read(JsonElement value, out string? error)
    {
        object? read = null;
        if (Type == typeof(string))
        {
            read = value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        else if (value.ValueKind == JsonValueKind.Number)
        {
            // Plus zero: -0.0 becomes 0.0, which is the same training and has the same fingerprint.
            var number = value.GetDouble() + 0.0;
            read = number;
            // 1000, and 1e3 and 1000.0 too, which some clients write. What doesn't fit stays as it is: no parameter allows it.
            if (Type == typeof(int) && Math.Abs(number) <= int.MaxValue)
                read = number == Math.Truncate(number) ? (int)number : null;
        }

        error = read is null ? $"{Name} is {Kind}." : Check(read);
        return error is null ? read : null;
    }

    /// <summary>Null when the value is allowed, else what is wrong with it.</summary>
    public string? Check(object? value) =>
        Type.IsInstanceOfType(value) && _allowed?.Contains(value) != false && _range?.IsValid(value) != false ? null : $"{Name} is {Limits}.";

    private string Kind => Type == typeof(string) ? "a string" : Type == typeof(int) ? "a whole number" : "a number";

    private static string Format(object limit) => limit is double and > 0 and < 0.0001
        ? string.Create(CultureInfo.InvariantCulture, $"{limit:0.###e-0}")
        : string.Create(CultureInfo.InvariantCulture, $"{limit:#,0.######}");
}
