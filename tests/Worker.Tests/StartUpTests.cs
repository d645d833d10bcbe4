using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Worker.Tests;

/// <summary>The program itself, with settings that can't work or don't work yet.</summary>
[TestFixture]
public sealed class StartUpTests
{
    private WorkerStack _stack = null!;

    [SetUp]
    public async Task SetUp() => _stack = await WorkerStack.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _stack.DisposeAsync();

    [Test]
    public async Task Worker_ThatStartsBeforeItsDatabase_WaitsForIt()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        await using (var proxy = SilentProxy.To(_stack.Database.ConnectionString))
            _stack.WorkersDatabase = proxy.ConnectionString;
        var worker = _stack.StartWorker("anna");
        await Eventually.IsTrueAsync("the worker to wait", WorkerStack.Patience, () => Task.FromResult(worker.Output.Contains("waited for", StringComparison.Ordinal)));

        await using var database = SilentProxy.To(_stack.Database.ConnectionString, port: new NpgsqlConnectionStringBuilder(_stack.WorkersDatabase).Port);

        Assert.That((await _stack.WhenFinalAsync(trajectory.Id, 20)).Status, Is.EqualTo(ExperimentStatus.Completed));
    }

    [TestCase("TrainerCommand", "/nowhere/trainer", "/nowhere/trainer")]
    [TestCase("Slots", "many", "Worker__Slots")]
    [TestCase("Slots", "-1", "Worker__Slots")]
    [TestCase("Lease", "00:00:03", "must be longer")]
    [TestCase("Folder", "/proc/scratch", "/proc/scratch")]
    public Task Start_WithASettingThatCannotWork_SaysSoInOneLine(string option, string value, string words) =>
        RefusesAsync(_stack.StartWorker("anna", ("RenewEvery", "00:00:02"), (option, value)), words);

    [Test]
    public Task Start_WithAConnectionStringThatIsNone_SaysSoInOneLine()
    {
        _stack.WorkersDatabase = "nonsense";
        return RefusesAsync(_stack.StartWorker("anna"), "no connection string");
    }

    [Test]
    public Task Start_WithADatabaseThatIsNotThere_SaysSoInOneLine()
    {
        _stack.WorkersDatabase = new NpgsqlConnectionStringBuilder(TestDatabase.Server) { Database = "nowhere" }.ConnectionString;
        return RefusesAsync(_stack.StartWorker("anna"), "run the migrate command first");
    }

    [Test]
    public Task Start_WithATrainerThatCannotStart_TellsItsReason() =>
        RefusesAsync(
            _stack.StartWorker("anna", WorkerStack.ShellTrainer("echo 'A word.' >&2; echo 'error: There is no GPU.' >&2; echo 'More.' >&2; exit 3")),
            "error: The trainer exited with code 3: There is no GPU.");

    private static async Task RefusesAsync(ServiceProcess worker, string words)
    {
        Assert.That(await worker.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(1));
        Assert.That(
            worker.Output.Split('\n').Where(line => !line.Contains(" info: ", StringComparison.Ordinal)).ToList(),
            Has.Count.EqualTo(1).And.Some.StartsWith("error: ").And.Some.Contains(words));
    }
}
