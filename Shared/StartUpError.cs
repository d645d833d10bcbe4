using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace MlExperiments.Shared;

/// <summary>
/// Why a program doesn't start: one line on standard error, <c>error: REASON</c>, and exit code 1. deploy/local.sh shows the reason to its user.
/// </summary>
public static partial class StartUpError
{
    public const string Prefix = "error: ";

    /// <returns>The exit code.</returns>
    public static int Report(string reason)
    {
        Console.Error.WriteLine(Prefix + reason.ReplaceLineEndings(" "));
        return 1;
    }

    /// <summary>Names the settings that are wrong and what is wrong with them, as sentences; null for any other exception.</summary>
    public static string? OfSettings(Exception exception) => exception switch
    {
        OptionsValidationException options => string.Join(' ', options.Failures.Select(failure => OfSetting(options.OptionsType, failure))),
        AggregateException { InnerExceptions: var inner } when inner.All(one => one is OptionsValidationException) => string.Join(' ', inner.Select(OfSettings)),
        InvalidOperationException when Unconvertible().Match(exception.Message) is { Success: true } wrong =>
            $"The setting {wrong.Groups["path"].Value.Replace(":", "__", StringComparison.Ordinal)} is \"{wrong.Groups["value"].Value}\", which can't be converted to the setting's type.",
        _ => null,
    };

    private static string OfSetting(Type options, string failure)
    {
        var section = options.GetField("Section", BindingFlags.Public | BindingFlags.Static)?.GetRawConstantValue() ?? options.Name;
        return Annotated().Match(failure) is { Success: true } wrong
            ? $"The setting {section}__{wrong.Groups["member"].Value} is wrong: {wrong.Groups["error"].Value}"
            : failure;
    }

    [GeneratedRegex("^Failed to convert configuration value (?:'(?<value>.*)' )?at '(?<path>[^']*)'")]
    private static partial Regex Unconvertible();

    [GeneratedRegex("^DataAnnotation validation failed for '.*' members: '(?<member>.*)' with the error: '(?<error>.*)'\\.$")]
    private static partial Regex Annotated();
}
