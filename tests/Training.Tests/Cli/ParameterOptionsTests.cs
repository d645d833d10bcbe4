using MlExperiments.Shared.Search;
using MlExperiments.Testing;
using MlExperiments.Training.Cli;

namespace MlExperiments.Training.Tests.Cli;

/// <summary>What the command line makes of parameters, up to where it would look at the images.</summary>
public sealed class ParameterOptionsTests
{
    private const string Accepted = "There is no folder /nowhere";

    private static IEnumerable<ParameterCase> Cases => ParameterCases.All.Where(parameter => parameter.Text is not null);

    [Test]
    public void Words_OfTheHelp_AreThoseOfAllParameters() =>
        Assert.That(ParameterOptions.Words.Select(entry => entry.Name), Is.EquivalentTo(ParameterDefinition.All.Keys));

    [TestCaseSource(nameof(Cases))]
    public void Train_WithAnyParameter_TakesWhatIsAllowedAndNamesWhatIsNot(ParameterCase parameter)
    {
        var (code, errors) = Run(["train", "--images", "/nowhere", .. Arguments(parameter)]);

        Assert.That(code, Is.EqualTo(1));
        Assert.That(errors, parameter.IsAllowed ? Does.Contain(Accepted) : Does.StartWith($"error: {parameter.Definition.Option}: {parameter.Definition.Name} is "));
    }

    [TestCase("--momentum: Only sgd uses momentum: give optimizer as \"sgd\" too.", "--momentum", "0.9")]
    [TestCase("--decay-every: A constant schedule doesn't use decayEvery", "--decay-every", "5")]
    [TestCase("--decay-factor: A constant schedule doesn't use decayFactor", "--decay-factor", "0.9", "--schedule", "constant")]
    [TestCase("--patience-metric: patienceMetric says what patience watches", "--patience-metric", "accuracy")]
    [TestCase("--filters: Only cnn uses filters", "--architecture", "resnet18", "--filters", "8")]
    [TestCase("--dropout: Only cnn uses dropout", "--architecture", "resnet50", "--dropout", "0.25")]
    [TestCase("--epochs: Give steps or epochs, not both.", "--epochs", "3")]
    public void Train_WithWhatDoesNotGoTogether_SaysWhatAServiceSays(string reason, params string[] more)
    {
        var (code, errors) = Run(["train", "--images", "/nowhere", "--i", "0.1", "--j", "1", "--k", "5", .. more]);

        Assert.That(code, Is.EqualTo(1));
        Assert.That(errors, Does.StartWith($"error: {reason}"));
    }

    [TestCase("'--j'", "--i", "0.1", "--k", "5")]
    [TestCase("'--k' or '--epochs'", "--i", "0.1", "--j", "1")]
    [TestCase("'--i'", "--k", "5", "--j", "1")]
    public void Train_WithoutWhatIsNeeded_NamesIt(string missing, params string[] given)
    {
        var (code, errors) = Run(["train", "--images", "/nowhere", .. given]);

        Assert.That(code, Is.EqualTo(1));
        Assert.That(errors, Does.Contain($"Option {missing} is required"));
    }

    [Test]
    public void Train_WithADecimalComma_DoesNotTakeItForThousands() =>
        Assert.That(Run(["train", "--images", "/nowhere", "--i", "0,001", "--j", "1", "--k", "5"]), Is.EqualTo((1, $"error: --i: learningRate is a number.{Environment.NewLine}")));

    [Test]
    public void Train_WithItsLongNames_TakesThem() =>
        Assert.That(Run(["train", "--images", "/nowhere", "--learning-rate", ".1", "--layers", "1", "--steps", "1e3"]).Errors, Does.Contain(Accepted));

    [TestCase("train", "--images")]
    [TestCase("test", "--image")]
    public void Help_OfEachParameter_SaysWhatItMayBe(string verb, string own)
    {
        var lines = Printed(() => CommandLine.Run([verb, "--help"]), errors: false).Printed.Split('\n');

        Assert.That(lines, Has.Some.Contains($"  {own} <"));
        foreach (var definition in ParameterDefinition.All.Values)
        {
            var line = lines.Single(line => line.StartsWith($"  {definition.Option}", StringComparison.Ordinal) && line.Contains($"{definition.LongOption} <", StringComparison.Ordinal));
            Assert.That(line, Does.Contain(definition.Limits));
            Assert.That(line, definition.Default is null ? Does.Not.Contain("[default") : Does.Contain(FormattableString.Invariant($"[default: {definition.Default}]")));
        }

        Assert.That(string.Join('\n', lines), Does.Contain("(1e-7 to 10)").And.Contains("(1 to 10,000,000)").And.Contains("(1, 3, 5, 7, 9 or 11) [default: 3]"));
    }

    private static IEnumerable<string> Arguments(ParameterCase parameter) =>
        parameter.Set().SelectMany(member => new[]
        {
            ParameterDefinition.All[member.Key].Option, member.Key == parameter.Definition.Name ? parameter.Text! : $"{member.Value}",
        });

    private static (int Code, string Errors) Run(string[] arguments) => Printed(() => CommandLine.Run(arguments), errors: true);

    private static (int Code, string Printed) Printed(Func<int> run, bool errors)
    {
        var (output, error) = (Console.Out, Console.Error);
        using var captured = new StringWriter();
        Console.SetOut(errors ? TextWriter.Null : captured);
        Console.SetError(errors ? captured : TextWriter.Null);
        try
        {
            return (run(), captured.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
    }
}
