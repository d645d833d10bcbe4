using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

/// <summary>Predictions put to real worker processes, whose trainers may be of shell to misbehave as told.</summary>
[TestFixture]
public sealed class PredictionTests
{
    /// <summary>Ends a trainer of <see cref="Fragile"/>.</summary>
    private static readonly byte[] Poison = [.. Enumerable.Repeat((byte)255, 28 * 28)];

    private static readonly byte[] Harmless = new byte[28 * 28];

    /// <summary>Answers every image with the second of two classes, except where one is <see cref="Poison"/>.</summary>
    private const string Fragile =
        """
        while read -r line; do
            case "$line" in *////////////////////////////////*) exit 3;; esac
            answers='[0,1]'
            for _ in 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do answers="$answers,[0,1]"; done
            echo "$line" | sed "s|.*\"id\":\"\([^\"]*\)\".*|{\"type\":\"prediction\",\"id\":\"\1\",\"probabilities\":[$answers]}|"
        done
        """;

    private WorkerStack _stack = null!;

    [SetUp]
    public async Task SetUp() => _stack = await WorkerStack.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _stack.DisposeAsync();

    [Test]
    public async Task Prediction_IsAnsweredWhileTheOnlySlotTrains()
    {
        var trained = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [300]);
        _stack.StartWorker("anna");
        var experiment = await _stack.WhenFinalAsync(trained.Id, 300);
        var training = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [1_000_000]);
        await _stack.WhenAsync("its first steps", db => db.MetricPoints.CountAsync(point => point.TrajectoryId == training.Id), points => points > 0);

        var right = 0;
        for (var digit = 0; digit < 10; digit++)
        {
            var answered = await AnswerAsync(await AskAsync(experiment.Id, DigitPainter.Paint(digit, variant: 1000 + digit)));
            Assert.Multiple(() =>
            {
                Assert.That(answered.Status, Is.EqualTo(PredictionStatus.Completed), answered.Error);
                Assert.That(answered.Probabilities?.Sum(), Is.EqualTo(1).Within(1e-4));
                Assert.That(answered.Pixels, Is.Empty);
            });
            if (answered.Probabilities!.Index().MaxBy(entry => entry.Item).Index == digit)
                right++;
        }

        await using var check = _stack.Database.NewContext();
        Assert.Multiple(() =>
        {
            Assert.That(check.Trajectories.Single(row => row.Id == training.Id).Status, Is.EqualTo(TrajectoryStatus.Running));
            Assert.That(right, Is.GreaterThanOrEqualTo(7));
        });
    }

    [Test]
    public async Task PredictionThatEndsTrainers_FailsWithTheReason_AndThoseBesideItAreAnswered()
    {
        var experiment = await AddCompletedAsync();
        var tried = await AskAsync(experiment, Harmless, attempts: 1);
        var poison = await AskAsync(experiment, Poison);
        Guid[] others = [await AskAsync(experiment, Harmless), await AskAsync(experiment, Harmless)];

        _stack.StartWorker("anna", WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; {Fragile}"));

        var failed = await AnswerAsync(poison);
        List<Prediction> answered = [await AnswerAsync(tried), await AnswerAsync(others[0]), await AnswerAsync(others[1])];
        Assert.Multiple(() =>
        {
            Assert.That((failed.Status, failed.Attempts), Is.EqualTo((PredictionStatus.Failed, 2)));
            Assert.That(failed.Error, Does.Contain("code 3"));
            Assert.That(answered.Select(prediction => prediction.Status), Is.All.EqualTo(PredictionStatus.Completed));
        });
    }

    [Test]
    public async Task PredictionThatWasTriedTooOften_HoweverItCameToWait_Fails()
    {
        var left = await AskAsync(await AddCompletedAsync(), Harmless, attempts: 2);

        _stack.StartWorker("anna", WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; {Fragile}"));

        Assert.That((await AnswerAsync(left)).Status, Is.EqualTo(PredictionStatus.Failed));
    }

    [Test]
    public async Task Claims_AreOfOneExperimentAtATime_AndGivenBackByADrain()
    {
        var first = await AskAsync(await AddCompletedAsync(), Harmless);
        var second = await AskAsync(await AddCompletedAsync(), Harmless);
        var worker = _stack.StartWorker("anna", WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; cat > /dev/null"));

        await _stack.WhenAsync("a claim", db => StatusesAsync(db, first, second), statuses => statuses.Contains(PredictionStatus.Running));
        await using var db = _stack.Database.NewContext();
        Assert.That(await StatusesAsync(db, first, second), Is.EqualTo(new[] { PredictionStatus.Running, PredictionStatus.Waiting }));

        Assert.That(await worker.StopAsync(TimeSpan.FromSeconds(30)), Is.Zero);
        Assert.Multiple(() =>
        {
            Assert.That(StatusesAsync(db, first, second).Result, Is.All.EqualTo(PredictionStatus.Waiting));
            Assert.That(db.Predictions.Select(prediction => prediction.Attempts), Is.All.Zero);
        });
    }

    [Test]
    public async Task Training_AtItsLastChance_IsNotDisturbedByPredictions()
    {
        var experiment = await AddCompletedAsync();
        var training = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [100]);
        // Takes part in no more than one thing: what comes during a training ends it.
        const string Trainer =
            """
            while read -r line; do
                case "$line" in
                *'"type":"predict"'*) exit 3;;
                *'"type":"train"'*)
                    id=$(echo "$line" | sed 's|.*"trajectoryId":"\([^"]*\)".*|\1|')
                    echo "{\"type\":\"started\",\"trajectoryId\":\"$id\",\"step\":0,\"reproducible\":true}"
                    read -r -t 5 line && exit 3
                    echo "{\"type\":\"failed\",\"trajectoryId\":\"$id\",\"error\":\"it ended in peace\"}";;
                esac
            done
            """;
        _stack.StartWorker("anna", [.. WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; {Trainer}", shell: "/bin/bash"), ("MaxLostAttempts", "1")]);
        await _stack.WhenAsync("its start", db => db.Experiments.SingleAsync(row => row.TrajectoryId == training.Id), row => row.StartedAt is not null);

        var prediction = await AskAsync(experiment, Harmless);

        Assert.That((await _stack.WhenFinalAsync(training.Id, 100)).Error, Does.Contain("it ended in peace"));
        Assert.That((await AnswerAsync(prediction)).Error, Does.Contain("code 3"), "it was put to a trainer that rests");
    }

    /// <summary>A completed experiment, with weights that no trainer of shell reads.</summary>
    private async Task<Guid> AddCompletedAsync()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        var weights = await TestModel.OpenBlobs(_stack.BlobFolder).PutAsync(new MemoryStream([1, 2, 3]), CancellationToken.None);
        await using var db = _stack.Database.NewContext();
        await db.Database.ExecuteSqlAsync($"UPDATE trajectories SET status = 'idle', waiting_since = NULL WHERE id = {trajectory.Id}");
        await db.Database.ExecuteSqlAsync(
            $"UPDATE experiments SET status = 'completed', accuracy = 0.5, weights_blob = {weights.Hash}, finished_at = now() WHERE trajectory_id = {trajectory.Id}");
        return await db.Experiments.Where(experiment => experiment.TrajectoryId == trajectory.Id).Select(experiment => experiment.Id).SingleAsync();
    }

    private async Task<Guid> AskAsync(Guid experimentId, byte[] pixels, int attempts = 0)
    {
        var prediction = new Prediction
        {
            ModelId = _stack.Rows.Model.Id,
            ExperimentId = experimentId,
            Status = PredictionStatus.Waiting,
            Attempts = attempts,
            Pixels = pixels,
            FileName = "digit.png",
            CreatedAt = TimeProvider.System.GetUtcNow(),
        };
        await using var db = _stack.Database.NewContext();
        db.Predictions.Add(prediction);
        await db.SaveChangesAsync();
        await db.Database.ExecuteSqlAsync($"SELECT pg_notify({PredictionChannels.Asked}, {prediction.Id.ToString()})");
        return prediction.Id;
    }

    private Task<Prediction> AnswerAsync(Guid id) =>
        _stack.WhenAsync(
            "an answer",
            db => db.Predictions.AsNoTracking().SingleAsync(row => row.Id == id),
            row => row.Status is PredictionStatus.Completed or PredictionStatus.Failed);

    private static async Task<PredictionStatus[]> StatusesAsync(ExperimentsDbContext db, Guid first, Guid second) =>
    [
        await db.Predictions.Where(row => row.Id == first).Select(row => row.Status).SingleAsync(),
        await db.Predictions.Where(row => row.Id == second).Select(row => row.Status).SingleAsync(),
    ];
}
