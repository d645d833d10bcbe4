using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Cli;

/// <summary>The line protocol, spoken with the real process.</summary>
public sealed class ServeTests
{
    private const int Endless = 10_000_000;

    private DigitData _digits = null!;
    private string _dataSet = null!;
    private TrainerProcess _trainer = null!;

    [OneTimeSetUp]
    public void CreateData()
    {
        _digits = new();
        _dataSet = _digits.Pack();
    }

    [OneTimeTearDown]
    public void RemoveData() => _digits.Dispose();

    [SetUp]
    public async Task StartAsync() => _trainer = await TrainerProcess.ServeAsync();

    [TearDown]
    public void Stop() => _trainer.Dispose();

    [Test]
    public async Task Training_ToItsEnd_TellsItsStory()
    {
        var command = Command([20, 60]);
        _trainer.Send(command);
        var seen = new List<TrainerEvent>();
        await _trainer.UntilAsync<DoneEvent>(seen);

        var own = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [20, 60], evaluateEvery: 20);
        Assert.That(
            seen.OfType<MilestoneEvent>().Select(milestone => (milestone.Step, milestone.WeightsHash, milestone.Accuracy, milestone.Loss)),
            Is.EqualTo(own.Results.Select(milestone => (milestone.Step, milestone.WeightsHash, milestone.Accuracy, milestone.Loss))));
        Assert.That(seen[0], Is.EqualTo(new StartedEvent(command.TrajectoryId, 0, true)));
        Assert.That(seen.OfType<MetricsEvent>().Select(point => point.Step), Is.EqualTo(new[] { 20, 40, 60 }));
        Assert.That(seen.OfType<TrainingEvent>().Select(happened => happened.TrajectoryId), Is.All.EqualTo(command.TrajectoryId));
        Assert.That(seen.OfType<MilestoneEvent>().Select(milestone => milestone.Weights), Is.All.Exist);
        Assert.That(seen.OfType<CheckpointEvent>().Select(checkpoint => checkpoint.Path), Is.All.Exist);
    }

    [Test]
    public async Task Stop_WhileTraining_LeavesACheckpointToGoOnFrom()
    {
        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.Send(new StopCommand(command.TrajectoryId));
        var seen = new List<TrainerEvent>();
        var stopped = await _trainer.UntilAsync<StoppedEvent>(seen);
        var checkpoint = seen.OfType<CheckpointEvent>().Last();
        Assert.That(checkpoint.Step, Is.EqualTo(stopped.Step));

        _trainer.Send(command with { Checkpoint = checkpoint.Path, Milestones = [stopped.Step + 30] });
        Assert.That((await _trainer.UntilAsync<StartedEvent>()).Step, Is.EqualTo(stopped.Step));
        var resumed = await _trainer.UntilAsync<MilestoneEvent>();
        Assert.That(resumed.WeightsHash, Is.EqualTo(Undisturbed(resumed.Step).WeightsHash));
    }

    [Test]
    public async Task Training_KilledAndResumedFromItsLastCheckpoint_IsTheUndisturbedOne()
    {
        _trainer.Send(Command([Endless]) with { CheckpointEverySeconds = 0.01 });
        await _trainer.UntilAsync<MetricsEvent>();
        await _trainer.UntilAsync<CheckpointEvent>();
        var checkpoint = await _trainer.UntilAsync<CheckpointEvent>();
        _trainer.Kill();

        using var next = await TrainerProcess.ServeAsync();
        next.Send(Command([checkpoint.Step + 25]) with { Checkpoint = checkpoint.Path });
        var resumed = await next.UntilAsync<MilestoneEvent>();
        var undisturbed = Undisturbed(checkpoint.Step + 25);
        Assert.That(
            (resumed.WeightsHash, resumed.Accuracy, resumed.Loss, resumed.Reproducible),
            Is.EqualTo((undisturbed.WeightsHash, undisturbed.Accuracy, undisturbed.Loss, true)));
    }

    [Test]
    public async Task Milestones_WhileTraining_ReplaceThoseBefore()
    {
        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.Send(new MilestonesCommand(command.TrajectoryId, [3000]));
        Assert.That((await _trainer.UntilAsync<DoneEvent>()).Step, Is.EqualTo(3000));
    }

    [Test]
    public async Task Milestones_WithNone_StopTheTrainingWithACheckpoint()
    {
        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.Send(new MilestonesCommand(command.TrajectoryId, []));
        var seen = new List<TrainerEvent>();
        var stopped = await _trainer.UntilAsync<StoppedEvent>(seen);
        Assert.That(seen.OfType<CheckpointEvent>().Last().Step, Is.EqualTo(stopped.Step));
    }

    [Test]
    public async Task Checkpoint_WhileTraining_IsWrittenAndTrainingGoesOn()
    {
        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.Send(new CheckpointCommand(command.TrajectoryId));
        var checkpoint = await _trainer.UntilAsync<CheckpointEvent>();
        Assert.That((await _trainer.UntilAsync<MetricsEvent>()).Step, Is.GreaterThan(checkpoint.Step));

        _trainer.Send(new MilestonesCommand(command.TrajectoryId, []));
        await _trainer.UntilAsync<StoppedEvent>();
        _trainer.Send(command with { Checkpoint = checkpoint.Path, Milestones = [checkpoint.Step + 30] });
        var resumed = await _trainer.UntilAsync<MilestoneEvent>();
        Assert.That(resumed.WeightsHash, Is.EqualTo(Undisturbed(resumed.Step).WeightsHash));
    }

    [Test]
    public async Task Predict_IdleAndWhileTraining_GivesTheSame()
    {
        _trainer.Send(Command([200]));
        var weights = (await _trainer.UntilAsync<MilestoneEvent>()).Weights;
        await _trainer.UntilAsync<DoneEvent>();

        var question = new PredictCommand(Guid.NewGuid(), weights, [DigitPainter.Paint(3, 9001), DigitPainter.Paint(1, 9002)]);
        _trainer.Send(question);
        var idle = await _trainer.UntilAsync<PredictionEvent>();
        Assert.That(idle.Id, Is.EqualTo(question.Id));
        Assert.That(idle.Probabilities!.Select(image => image.Sum()), Is.All.EqualTo(1).Within(1e-9));

        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.Send(question);
        Assert.That((await _trainer.UntilAsync<PredictionEvent>()).Probabilities, Is.EqualTo(idle.Probabilities));
        _trainer.Send(new StopCommand(command.TrajectoryId));

        // Being asked didn't disturb the training.
        var seen = new List<TrainerEvent>();
        var stopped = await _trainer.UntilAsync<StoppedEvent>(seen);
        _trainer.Send(command with { Checkpoint = seen.OfType<CheckpointEvent>().Last().Path, Milestones = [stopped.Step + 1] });
        Assert.That((await _trainer.UntilAsync<MilestoneEvent>()).WeightsHash, Is.EqualTo(Undisturbed(stopped.Step + 1).WeightsHash));
    }

    [Test]
    public async Task Predict_ThatCannotBeAnswered_SaysWhy()
    {
        _trainer.Send(new PredictCommand(Guid.NewGuid(), Path.Combine(_digits.Folder, "none.safetensors"), [new byte[784]]));
        Assert.That((await _trainer.UntilAsync<PredictionEvent>()).Error, Does.Contain("none.safetensors"));

        _trainer.Send(new PredictCommand(Guid.NewGuid(), _dataSet, [new byte[784]]));
        Assert.That((await _trainer.UntilAsync<PredictionEvent>()).Error, Does.Contain("kind"));

        _trainer.Send(Command([1]));
        var weights = (await _trainer.UntilAsync<MilestoneEvent>()).Weights;
        _trainer.Send(new PredictCommand(Guid.NewGuid(), weights, [new byte[783]]));
        Assert.That((await _trainer.UntilAsync<PredictionEvent>()).Error, Does.Contain("783 bytes"));
    }

    [Test]
    public async Task Lines_ThatAreNoCommands_AreReportedAndIgnored()
    {
        foreach (var line in new[] { "", "garbage", "{}", "[]", "null", "7", """{"type":"dance"}""", """{"type":"stop","trajectoryId":"x"}""", "\u0000\ud83d" })
            _trainer.SendLine(line);
        _trainer.Send(new StopCommand(Guid.NewGuid()));
        _trainer.SendLine("""{"milestones":[5],"type":"train"}""");
        Assert.That(((FailedEvent)await _trainer.NextAsync()).Error, Does.Contain("parameters"));
        var command = Command([5]);
        _trainer.Send(command);
        Assert.That((await _trainer.UntilAsync<DoneEvent>()).TrajectoryId, Is.EqualTo(command.TrajectoryId));
        _trainer.CloseInput();
        Assert.That(await _trainer.EndAsync(), Is.Zero);
        Assert.That(await _trainer.ErrorsAsync(), Does.Contain("ignored").And.Not.Contains("   at "));
    }

    [Test]
    public async Task Train_ThatFails_LeavesTheTrainerReady()
    {
        var broken = Command([5]) with { DataSet = Path.Combine(_digits.Folder, "none.safetensors") };
        _trainer.Send(broken);
        var failed = (FailedEvent)await _trainer.NextAsync();
        Assert.That(failed.TrajectoryId, Is.EqualTo(broken.TrajectoryId));
        Assert.That(failed.Error, Does.Contain("none.safetensors"));
        _trainer.Send(Command([5]));
        await _trainer.UntilAsync<DoneEvent>();
    }

    [Test]
    public async Task Train_WhileTraining_IsRefused()
    {
        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        var second = Command([5]);
        _trainer.Send(second);
        TrainerEvent happened;
        do happened = await _trainer.NextAsync();
        while (happened is not FailedEvent);
        Assert.That(((FailedEvent)happened).TrajectoryId, Is.EqualTo(second.TrajectoryId));
        _trainer.Send(new StopCommand(command.TrajectoryId));
        await _trainer.UntilAsync<StoppedEvent>();
    }

    [Test]
    public async Task EndOfInput_WhileTraining_EndsTheProcess()
    {
        _trainer.Send(Command([Endless]));
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.CloseInput();
        Assert.That(await _trainer.EndAsync(), Is.Zero);
    }

    [Test]
    public async Task Signals_ToTheProcessGroup_LeaveTheTrainingToTheWorker()
    {
        var command = Command([Endless]);
        _trainer.Send(command);
        await _trainer.UntilAsync<MetricsEvent>();
        await _trainer.SignalAsync("INT");
        await _trainer.SignalAsync("TERM");
        await _trainer.UntilAsync<MetricsEvent>();
        _trainer.Send(new StopCommand(command.TrajectoryId));
        var seen = new List<TrainerEvent>();
        await _trainer.UntilAsync<StoppedEvent>(seen);
        Assert.That(seen.OfType<CheckpointEvent>().Single().Path, Does.Exist);
        _trainer.CloseInput();
        Assert.That(await _trainer.EndAsync(), Is.Zero);
    }

    private TrainCommand Command(int[] milestones) =>
        new(Guid.NewGuid(), DigitData.Small, _dataSet, milestones, null, _digits.NewFolder(), EvaluateEvery: 20, CheckpointEverySeconds: 0);

    private MilestoneEvent Undisturbed(int step) =>
        Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [step], evaluateEvery: 20).Results.Single();
}
