using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using MlExperiments.Shared.Search;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests.Search;

public sealed partial class ParameterDefinitionTests
{
    private static IEnumerable<string> Names => ParameterDefinition.All.Keys;

    [TestCase("learningRate", "--i", "--learning-rate", "1e-7 to 10")]
    [TestCase("layers", "--j", "--layers", "1 to 8")]
    [TestCase("steps", "--k", "--steps", "1 to 10,000,000")]
    [TestCase("epochs", "--epochs", "--epochs", "1 to 100,000")]
    [TestCase("batchSize", "--batch-size", "--batch-size", "1 to 1,024")]
    [TestCase("decayFactor", "--decay-factor", "--decay-factor", "0.0001 to 1")]
    [TestCase("momentum", "--momentum", "--momentum", "0 to 0.999")]
    [TestCase("seed", "--seed", "--seed", "0 to 2,147,483,647")]
    [TestCase("kernelSize", "--kernel-size", "--kernel-size", "1, 3, 5, 7, 9 or 11")]
    [TestCase("optimizer", "--optimizer", "--optimizer", "adam or sgd")]
    public void Definition_OfAParameter_HasItsOptionAndItsLimitsInWords(string name, string option, string longOption, string limits)
    {
        var definition = ParameterDefinition.All[name];
        Assert.That((definition.Option, definition.LongOption, definition.Limits), Is.EqualTo((option, longOption, limits)));
    }

    [TestCase("steps", "1e3", 1000)]
    [TestCase("steps", "1000.0", 1000)]
    [TestCase("seed", "-0", 0)]
    [TestCase("dropout", "-0.0", 0.0)]
    [TestCase("steps", "1.5", "steps is a whole number.")]
    [TestCase("steps", "\"5\"", "steps is a whole number.")]
    [TestCase("steps", "3000000000", "steps is 1 to 10,000,000.")]
    [TestCase("seed", "1e300", "seed is 0 to 2,147,483,647.")]
    [TestCase("seed", "2147483647", int.MaxValue)]
    [TestCase("dropout", "\"much\"", "dropout is a number.")]
    [TestCase("dropout", "1e999", "dropout is 0 to 0.95.")]
    [TestCase("optimizer", "1", "optimizer is a string.")]
    [TestCase("optimizer", "\"lion\"", "optimizer is adam or sgd.")]
    public void Read_OfAValue_GivesItOrSaysWhatIsWrong(string name, string json, object expected)
    {
        var read = ParameterDefinition.All[name].Read(JsonDocument.Parse(json).RootElement, out var error);
        Assert.That(read ?? error, Is.EqualTo(expected).And.TypeOf(expected.GetType()));
    }

    [TestCaseSource(nameof(Names))]
    public void Readme_AboutAParameter_SaysWhatItMayBe(string name)
    {
        var definition = ParameterDefinition.All[name];
        var row = File.ReadLines(Path.Combine(ServiceProcess.ProjectRoot, "README.md"))
            .Single(line => Row().Match(line) is { Success: true } match && match.Groups[1].Value.Contains($"`{name}`", StringComparison.Ordinal))
            .Replace(",", "", StringComparison.Ordinal);

        var limits = definition.Allowed?.Select(Words) ?? [$"{Words(definition.Minimum!)} to {Words(definition.Maximum!)}"];
        foreach (var words in definition.Default is { } standard ? limits.Append(Words(standard)) : limits)
            Assert.That(row, Does.Match($@"(?<![\w.]){Regex.Escape(words)}(?!\w|\.[0-9])"));
    }

    private static string Words(object limit) => limit is 1e-7 ? "1e-7" : Convert.ToString(limit, CultureInfo.InvariantCulture)!;

    [GeneratedRegex("^\\| (`[^|]*) \\|")]
    private static partial Regex Row();
}
