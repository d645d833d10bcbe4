using System.Text.Json;
using System.Text.Json.Nodes;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Search;
using MlExperiments.Testing;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Tests.Loop;

public sealed class TrainCommandCheckTests
{
    // A service sends steps.
    private static IEnumerable<ParameterCase> Cases => ParameterCases.All.Where(parameter => parameter.Definition.Name != ParameterDefinition.Epochs);

    [TestCaseSource(nameof(Cases))]
    public void Parameters_OfACommand_AreTakenWhereTheyAreAllowed(ParameterCase parameter)
    {
        void Check() => TrainCommandCheck.ThrowIfInvalid(parameter.Set().Deserialize<ExperimentParameters>(ContractJson.Options)!);

        if (parameter.IsAllowed)
            Assert.That(Check, Throws.Nothing);
        else
            // What is of another type is no command at all.
            Assert.That(Check, Throws.InstanceOf<JsonException>().Or.TypeOf<InvalidDataException>().With.Message.EqualTo($"{parameter.Definition.Name} is {parameter.Definition.Limits}."));
    }

    [Test]
    public void Parameters_WithoutAWord_NameIt()
    {
        var parameters = JsonSerializer.Deserialize<TrajectoryParameters>("""{"learningRate": 0.1, "layers": 1, "optimizer": null}""", ContractJson.Options)!;
        Assert.That(() => TrainCommandCheck.ThrowIfInvalid(parameters), Throws.TypeOf<InvalidDataException>().With.Message.EqualTo("optimizer is adam or sgd."));
    }

    [TestCase("""{}""", null)]
    [TestCase("""{"milestones": [1, 10000000], "checkpointEverySeconds": 86400}""", null)]
    [TestCase("""{"checkpointEverySeconds": 0}""", null)]
    [TestCase("""{"milestones": [10000001]}""", "Milestones are steps, 1 to 10,000,000.")]
    [TestCase("""{"milestones": [5, 0]}""", "Milestones are steps, 1 to 10,000,000.")]
    [TestCase("""{"evaluateEvery": 0}""", "evaluateEvery is 0; it must be at least 1.")]
    [TestCase("""{"checkpointEverySeconds": -1}""", "checkpointEverySeconds is -1; it must be 0 (none on the way) to 86,400.")]
    [TestCase("""{"checkpointEverySeconds": 86401}""", "checkpointEverySeconds is 86401; it must be 0 (none on the way) to 86,400.")]
    [TestCase("""{"checkpointEverySeconds": "NaN"}""", "checkpointEverySeconds is NaN; it must be 0 (none on the way) to 86,400.")]
    [TestCase("""{"checkpointEverySeconds": "Infinity"}""", "checkpointEverySeconds is Infinity; it must be 0 (none on the way) to 86,400.")]
    [TestCase("""{"parameters": null}""", "A training needs parameters.")]
    public void Command_WithAnyMembers_IsTakenOrRefusedWithAReason(string members, string? reason)
    {
        using var folder = new TemporaryFolder();
        var command = new JsonObject
        {
            ["type"] = "train", ["trajectoryId"] = Guid.Empty, ["parameters"] = Small(), ["dataSet"] = "x", ["milestones"] = new JsonArray(1), ["outputDirectory"] = folder.Path,
        };
        foreach (var (name, value) in JsonNode.Parse(members)!.AsObject()) command[name] = value?.DeepClone();

        Check(() => TrainCommandCheck.ThrowIfInvalid((TrainCommand)command.Deserialize<TrainerCommand>(ContractJson.Options)!), reason);
    }

    [TestCase("""[{"step": 1, "learningRate": 1e-7}, {"step": 10000000, "learningRate": 10}]""", true)]
    [TestCase("[null]", false)]
    [TestCase("""[{"step": 1, "learningRate": 0.1}, null]""", false)]
    [TestCase("""[{"step": 0, "learningRate": 0.1}]""", false)]
    [TestCase("""[{"step": 10000001, "learningRate": 0.1}]""", false)]
    [TestCase("""[{"step": 1, "learningRate": 11}]""", false)]
    [TestCase("""[{"step": 1, "learningRate": 0}]""", false)]
    [TestCase("""[{"step": 1, "learningRate": "NaN"}]""", false)]
    [TestCase("""[{"step": 2, "learningRate": 0.1}, {"step": 2, "learningRate": 0.2}]""", false)]
    public void LearningRateChanges_OfACommand_AreTakenWhereTheyAreAllowed(string changes, bool areAllowed)
    {
        var parameters = Small();
        parameters["learningRateChanges"] = JsonNode.Parse(changes);
        Check(
            () => TrainCommandCheck.ThrowIfInvalid(parameters.Deserialize<TrajectoryParameters>(ContractJson.Options)!),
            areAllowed ? null : "learningRateChanges have steps, 1 to 10,000,000, ascending, and rates, 1e-7 to 10.");
    }

    private static JsonObject Small() => new() { ["learningRate"] = 0.1, ["layers"] = 1 };

    private static void Check(Action check, string? reason)
    {
        if (reason is null)
            Assert.That(check, Throws.Nothing);
        else
            Assert.That(check, Throws.TypeOf<InvalidDataException>().With.Message.EqualTo(reason));
    }
}
