using System.Globalization;
using System.Linq.Expressions;
using System.Text.RegularExpressions;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>
/// Reads a filter such as <c>learningRate &lt; 0.01 and (layers = 2 or accuracy &gt;= 0.98) and not name ~ "draft"</c>:
/// <code>
/// filter     = all { "or" all }
/// all        = one { "and" one }
/// one        = "not" one | "(" filter ")" | column comparison
/// comparison = ("=" | "!=" | "&lt;" | "&lt;=" | "&gt;" | "&gt;=" | "~") value | "in" "(" value { "," value } ")" | "is" [ "not" ] "null"
/// </code>
/// Values are numbers, words, or texts in quotes; times as in ISO 8601; <c>~</c> is "contains", in any case of letters. What has no value
/// meets <c>!=</c> and <c>is null</c> only.
/// </summary>
internal sealed partial class ExperimentFilter
{
    public const int MaxLength = 2000;

    /// <summary>The most comparisons, and the deepest nesting: each costs every row something.</summary>
    private const int MaxParts = 50;

    private static readonly string[] Operators = ["=", "!=", "<", "<=", ">", ">=", "~"];

    private readonly List<(string Text, bool IsQuoted, int At)> _tokens;
    private readonly ParameterExpression _experiment = Expression.Parameter(typeof(Experiment), "experiment");
    private int _next;
    private int _parts;

    private ExperimentFilter(string text) =>
        _tokens = [.. Tokens().Matches(text).Where(match => match.Length > 0 && !string.IsNullOrWhiteSpace(match.Value)).Select(match => (
            match.Groups["quoted"].Success ? Unquoted(match.Groups["quoted"].Value, match.Value[..1]) : match.Value,
            match.Groups["quoted"].Success,
            match.Index + 1))];

    /// <summary>The condition, or null and what is wrong with the filter, with the place.</summary>
    public static Expression<Func<Experiment, bool>>? Read(string text, out string? error)
    {
        error = null;
        try
        {
            if (text.Length > MaxLength)
                throw new FormatException($"A filter has at most {MaxLength} characters.");
            var filter = new ExperimentFilter(text);
            var condition = filter.ReadAny(depth: 0);
            if (filter._next < filter._tokens.Count)
                throw filter.Unexpected("\"and\", \"or\" or the end");
            return Expression.Lambda<Func<Experiment, bool>>(condition, filter._experiment);
        }
        catch (FormatException exception)
        {
            error = exception.Message;
            return null;
        }
    }

    private Expression ReadAny(int depth)
    {
        if (depth > MaxParts)
            throw new FormatException($"A filter is nested {MaxParts} levels deep at most.");
        var any = ReadAll(depth);
        while (TakeWord("or"))
            any = Expression.OrElse(any, ReadAll(depth));
        return any;
    }

    private Expression ReadAll(int depth)
    {
        var all = ReadOne(depth);
        while (TakeWord("and"))
            all = Expression.AndAlso(all, ReadOne(depth));
        return all;
    }

    private Expression ReadOne(int depth)
    {
        if (++_parts > MaxParts)
            throw new FormatException($"A filter has at most {MaxParts} comparisons.");
        if (TakeWord("not"))
            return Expression.Not(ReadOne(depth));
        if (!Take("("))
            return ReadComparison();
        var inside = ReadAny(depth + 1);
        return Take(")") ? inside : throw Unexpected("\")\"");
    }

    private Expression ReadComparison()
    {
        if (_next >= _tokens.Count || _tokens[_next].IsQuoted || ExperimentColumns.Find(_tokens[_next].Text) is not { } column)
            throw Unexpected($"a column ({string.Join(", ", ExperimentColumns.Names)})");
        var name = _tokens[_next++].Text;
        var key = new ParameterReplacement(column.Parameters[0], _experiment).Visit(column.Body);
        if (TakeWord("is"))
        {
            var isNot = TakeWord("not");
            if (!TakeWord("null"))
                throw Unexpected("\"null\"");
            Expression isNull = key.Type.IsValueType && Nullable.GetUnderlyingType(key.Type) is null
                ? Expression.Constant(false)
                : Expression.Equal(key, Expression.Constant(null, key.Type));
            return isNot ? Expression.Not(isNull) : isNull;
        }

        if (TakeWord("in"))
            return ReadList(name, key);
        if (_next >= _tokens.Count || _tokens[_next].IsQuoted || !Operators.Contains(_tokens[_next].Text))
            throw Unexpected($"a comparison after {name}: {string.Join(' ', Operators)}, in or is");
        return Compare(name, key, _tokens[_next++].Text);
    }

    private Expression ReadList(string name, Expression key)
    {
        if (!Take("("))
            throw Unexpected("\"(\"");
        Expression? any = null;
        do
        {
            if (++_parts > MaxParts)
                throw new FormatException($"A filter has at most {MaxParts} comparisons.");
            var one = Compare(name, key, "=");
            any = any is null ? one : Expression.OrElse(any, one);
        }
        while (Take(","));
        return Take(")") ? any : throw Unexpected("\",\" or \")\"");
    }

    private BinaryExpression Compare(string name, Expression key, string comparison)
    {
        if (_next >= _tokens.Count || (!_tokens[_next].IsQuoted && _tokens[_next].Text is "(" or ")" or ","))
            throw Unexpected($"a value for {name}");
        var (text, isQuoted, at) = _tokens[_next++];
        if (!isQuoted && (text is "'" or "\""))
            throw new FormatException($"The quote at character {at} is never closed.");
        var type = Nullable.GetUnderlyingType(key.Type) ?? key.Type;
        object? value = name == "status" ? StatusCounts.TryParse(text, out var status) ? (double)(int)status : null
            : type == typeof(string) ? text.Contains('\0', StringComparison.Ordinal) ? null : text
            : type == typeof(DateTimeOffset) ? DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time : null
            : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;
        if (value is null)
            throw new FormatException(name == "status"
                ? $"There is no status \"{text}\" (at character {at}); there are {string.Join(", ", StatusCounts.Names)}."
                : $"\"{text}\" (at character {at}) is no {(type == typeof(string) ? "text" : type == typeof(DateTimeOffset) ? "time, such as \"2026-03-01T09:00Z\"" : "number")}, and {name} is one.");
        if (comparison == "~" && type != typeof(string))
            throw new FormatException($"~ is for texts, and {name} is none (at character {at}).");

        // Whole numbers are compared as others: 2.5 lies between two of them.
        if (value is double && key.Type != typeof(double?))
            key = Expression.Convert(key, typeof(double?));
        // Read off an object, so that the query takes it as a parameter.
        Expression operand = Expression.Property(Expression.Constant(new Box(value)), value is string ? nameof(Box.Word) : value is double ? nameof(Box.Number) : nameof(Box.Time));
        if (operand.Type != key.Type && value is DateTimeOffset)
            key = Expression.Convert(key, operand.Type);
        if (value is not string)
            return Order(comparison, key, operand);
        return comparison switch
        {
            "~" => Expression.AndAlso(
                Expression.NotEqual(key, Expression.Constant(null, typeof(string))),
                Expression.Call(
                    Expression.Call(key, nameof(string.ToLower), null), nameof(string.Contains), null, Expression.Property(Expression.Constant(new Box(text.ToLowerInvariant())), nameof(Box.Word)))),
            "=" => Expression.Equal(key, operand),
            "!=" => Expression.NotEqual(key, operand),
            _ => Order(comparison, Expression.Call(typeof(string), nameof(string.Compare), null, key, operand), Expression.Constant(0)),
        };
    }

    private static BinaryExpression Order(string comparison, Expression left, Expression right) => comparison switch
    {
        "=" => Expression.Equal(left, right),
        "!=" => Expression.NotEqual(left, right),
        "<" => Expression.LessThan(left, right),
        "<=" => Expression.LessThanOrEqual(left, right),
        ">" => Expression.GreaterThan(left, right),
        _ => Expression.GreaterThanOrEqual(left, right),
    };

    private bool Take(string sign)
    {
        if (_next >= _tokens.Count || _tokens[_next].IsQuoted || _tokens[_next].Text != sign)
            return false;
        _next++;
        return true;
    }

    private bool TakeWord(string word)
    {
        if (_next >= _tokens.Count || _tokens[_next].IsQuoted || !_tokens[_next].Text.Equals(word, StringComparison.OrdinalIgnoreCase))
            return false;
        _next++;
        return true;
    }

    private static string Unquoted(string text, string quote) => text.Replace(quote + quote, quote, StringComparison.Ordinal);

    private FormatException Unexpected(string expected) => new(_next < _tokens.Count
        ? $"At character {_tokens[_next].At} of the filter there is \"{_tokens[_next].Text}\", where {expected} was expected."
        : $"The filter ends where {expected} was expected.");

    [GeneratedRegex("""
        "(?<quoted>(?:[^"]|"")*)"|'(?<quoted>(?:[^']|'')*)'|<=|>=|!=|[=<>~(),]|[^\s=<>~(),!"']+|.
        """, RegexOptions.Singleline)]
    private static partial Regex Tokens();

    private sealed class Box(object value)
    {
        public double? Number => value as double?;
        public string? Word => value as string;
        public DateTimeOffset? Time => value as DateTimeOffset?;
    }
}
