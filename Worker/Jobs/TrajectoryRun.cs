using System.Threading.Channels;
using MlExperiments.Shared;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Worker.DataSets;
using MlExperiments.Worker.Slots;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Jobs;

/// <summary>One attempt on a claimed trajectory, from the claim to the end of its lease.</summary>
public sealed partial class TrajectoryRun(
    IDbContextFactory<ExperimentsDbContext> databases,
    TrajectoryWriter writer,
    PackedDataSets dataSets,
    ImageHashes hashes,
    IBlobStore blobs,
    RunningAttempts attempts,
    IOptions<WorkerOptions> options,
    TimeProvider time,
    ILogger<TrajectoryRun> logger)
{
    private readonly Persistence _persistence = new(options.Value.StoreWithin, logger);

    /// <summary>Trains until the milestones are measured, the worker drains, the trainer is lost, or the lease is.</summary>
    public async Task RunAsync(Slot slot, TrainerProcess trainer, Claim claim, CancellationToken draining)
    {
        LogClaimed(logger, claim.TrajectoryId, claim.Fence, slot.Number, claim.Milestones[^1]);
        FailPoint.Hit("claim.taken");
        using var report = new AttemptReport();
        using var control = attempts.Begin(claim.TrajectoryId);
        await using var lease = new LeaseKeeper(writer, claim, report, control, () => slot.DropTrainer(trainer), options.Value, logger);
        lease.Start();
        // Predictions may cost a training an attempt, but not the last one: then they wait until it has got further.
        trainer.IsUndisturbed = claim.LostAttempts + 1 >= options.Value.MaxLostAttempts;
        // Whatever the trainer, the database and the blobs do, a drain waits for them no longer than this.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(lease.Lost);
        await using var deadline = draining.Register(() => stop.CancelAfter(options.Value.DrainWithin));
        try
        {
            await EndAsync(slot, trainer, claim, report, control, lease, draining, stop.Token);
        }
        catch (Exception exception) when (exception is LeaseLostException || stop.IsCancellationRequested)
        {
            slot.DropTrainer(trainer);
            LogAbandoned(logger, claim.TrajectoryId, exception.Message);
        }
    }

    private async Task EndAsync(
        Slot slot,
        TrainerProcess trainer,
        Claim claim,
        AttemptReport report,
        ControlSignal control,
        LeaseKeeper lease,
        CancellationToken draining,
        CancellationToken stop)
    {
        AttemptOutcome outcome;
        try
        {
            await _persistence.RetryAsync(
                _ =>
                {
                    slot.EmptyFolder();
                    return Task.CompletedTask;
                },
                stop);
            outcome = await TrainAsync(slot, trainer, claim, report, control, draining, stop);
        }
        catch (OperationCanceledException) when (draining.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            // It drained before its first step.
            outcome = AttemptOutcome.Drained;
        }
        catch (Exception exception) when (exception is not LeaseLostException && !stop.IsCancellationRequested)
        {
            LogLostAttempt(logger, exception, claim.TrajectoryId);
            slot.DropTrainer(trainer);
            await lease.StopAsync(stop);
            outcome = exception is TrainerDiedException or TrainerSilentException ? AttemptOutcome.Crashed : AttemptOutcome.Failed;
            await _persistence.RetryAsync(token => writer.LoseAsync(claim, outcome, report.Step, exception.Message, token), stop);
            return;
        }

        FailPoint.Hit("attempt.done");
        await lease.StopAsync(stop);
        await StoreReportAsync(claim, report, stop);
        await _persistence.RetryAsync(token => writer.ReleaseAsync(claim, outcome, report.Step, token), stop);
        FailPoint.Hit("attempt.released");
        LogEnded(logger, claim.TrajectoryId, outcome, report.Step);
    }

    private async Task<AttemptOutcome> TrainAsync(
        Slot slot, TrainerProcess trainer, Claim claim, AttemptReport report, ControlSignal control, CancellationToken draining, CancellationToken stop)
    {
        using var preparing = CancellationTokenSource.CreateLinkedTokenSource(draining, stop);
        var engine = await InTimeAsync(trainer.Ready, "was not ready", preparing.Token);
        var dataSet = await _persistence.RetryAsync(token => dataSets.GetPathAsync(claim.DataSetVersionId, token), preparing.Token);

        // From the newest checkpoint that is not beyond the first milestone; one that is gone or can't be read is passed over for the one before.
        List<Checkpoint?> starts = [.. await _persistence.RetryAsync(token => CheckpointsAsync(claim, token), preparing.Token), null];
        foreach (var start in starts)
        {
            string? checkpoint = null;
            if (start is not null)
            {
                checkpoint = await FindBlobAsync(start.BlobHash, preparing.Token);
                if (checkpoint is null)
                {
                    LogBadCheckpoint(logger, claim.TrajectoryId, start.Step, "its blob is gone");
                    continue;
                }
            }

            var command = new TrainCommand(
                claim.TrajectoryId,
                claim.Parameters,
                dataSet,
                claim.Milestones,
                checkpoint,
                slot.Folder,
                options.Value.EvaluateEvery,
                options.Value.CheckpointEvery.TotalSeconds);
            var events = await InTimeAsync(trainer.TrainAsync(command, preparing.Token), "had not taken its command", preparing.Token);
            var ended = await FollowAsync(trainer, engine, events, claim, start, report, control, draining, stop);
            if (ended is not null)
                return ended.Value;
        }

        throw new TrainingFailedException("The trainer refused to start.");
    }

    private async Task<string?> FindBlobAsync(string hash, CancellationToken cancellationToken)
    {
        try
        {
            return await _persistence.RetryAsync(token => blobs.GetPathAsync(hash, token), cancellationToken);
        }
        catch (BlobNotFoundException)
        {
            return null;
        }
    }

    private async Task<T> InTimeAsync<T>(Task<T> done, string otherwise, CancellationToken cancellationToken)
    {
        try
        {
            return await done.WaitAsync(options.Value.TrainerSilence, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new TrainerSilentException($"The trainer {otherwise} after {options.Value.TrainerSilence.TotalSeconds:0} s.");
        }
    }

    /// <summary>Stores what the trainer says until it ends; null where it could not read its checkpoint.</summary>
    private async Task<AttemptOutcome?> FollowAsync(
        TrainerProcess trainer,
        ReadyEvent engine,
        ChannelReader<TrainingEvent> events,
        Claim claim,
        Checkpoint? start,
        AttemptReport report,
        ControlSignal control,
        CancellationToken draining,
        CancellationToken stop)
    {
        await using var asking = draining.Register(() => _ = StopTrainerAsync(trainer, claim));
        await using var following = new AttemptControl(writer, trainer, claim, control, _persistence, logger, stop);
        var started = false;
        var fromStep = 0;
        var measured = new HashSet<int>();
        while (true)
        {
            await NextEventAsync(events, stop);
            while (events.TryRead(out var said))
            {
                switch (said)
                {
                    case StartedEvent begin:
                        started = true;
                        fromStep = begin.Step;
                        report.Reached(begin.Step);
                        await _persistence.RetryAsync(token => writer.StartedAsync(claim, begin.Step, token), stop);
                        FailPoint.Hit("attempt.started");
                        following.Start();
                        break;
                    case ProgressEvent progress:
                        report.Add(progress);
                        break;
                    case MetricsEvent metrics:
                        report.Add(metrics);
                        break;
                    case MilestoneEvent milestone:
                        report.Reached(milestone.Step);
                        await StoreReportAsync(claim, report, stop);
                        await StoreMilestoneAsync(claim, fromStep, measured, milestone, stop);
                        measured.Add(milestone.Step);
                        trainer.IsUndisturbed = false;
                        break;
                    // Nothing is lost of a training that is stopped before its first step.
                    case CheckpointEvent { Step: > 0 } checkpoint:
                        report.Reached(checkpoint.Step);
                        await StoreReportAsync(claim, report, stop);
                        await StoreCheckpointAsync(claim, engine, checkpoint, stop);
                        trainer.IsUndisturbed = false;
                        break;
                    case DoneEvent done:
                        report.Reached(done.Step);
                        return AttemptOutcome.Completed;
                    case StoppedEvent stopped:
                        report.Reached(stopped.Step);
                        return draining.IsCancellationRequested ? AttemptOutcome.Drained : AttemptOutcome.Stopped;
                    case FailedEvent failed when start is not null && !started:
                        LogBadCheckpoint(logger, claim.TrajectoryId, start.Step, failed.Error);
                        return null;
                    case FailedEvent failed:
                        throw new TrainingFailedException(failed.Error);
                }
            }
        }
    }

    private async Task NextEventAsync(ChannelReader<TrainingEvent> events, CancellationToken stop)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(stop);
        silence.CancelAfter(options.Value.TrainerSilence);
        try
        {
            if (!await events.WaitToReadAsync(silence.Token))
                throw new TrainerDiedException("The trainer ended its events without a last one.");
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new TrainerSilentException($"The trainer said nothing for {options.Value.TrainerSilence.TotalSeconds:0} s.");
        }
    }

    private async Task StopTrainerAsync(TrainerProcess trainer, Claim claim)
    {
        try
        {
            await trainer.SendAsync(new StopCommand(claim.TrajectoryId), CancellationToken.None);
        }
        catch (TrainerDiedException death)
        {
            // Whoever follows its events learns it too.
            LogNotAsked(logger, claim.TrajectoryId, death.Message);
        }
    }

    private async Task StoreMilestoneAsync(Claim claim, int fromStep, HashSet<int> measured, MilestoneEvent milestone, CancellationToken stop)
    {
        await _persistence.RetryAsync(
            async token =>
            {
                var weights = await StoreFileAsync(milestone.Weights, token);
                FailPoint.Hit("milestone.stored");
                var named = await hashes.NameAsync(claim.DataSetVersionId, milestone, token);
                await writer.CompleteMilestoneAsync(claim, fromStep, measured, named, weights.Hash, token);
            },
            stop);
        FailPoint.Hit("milestone.completed");
        File.Delete(milestone.Weights);
        LogMilestone(logger, claim.TrajectoryId, milestone.Step, milestone.Accuracy);
    }

    private async Task StoreCheckpointAsync(Claim claim, ReadyEvent engine, CheckpointEvent checkpoint, CancellationToken stop)
    {
        var unused = await _persistence.RetryAsync(
            async token =>
            {
                var blob = await StoreFileAsync(checkpoint.Path, token);
                FailPoint.Hit("checkpoint.stored");
                var row = new Checkpoint
                {
                    TrajectoryId = claim.TrajectoryId,
                    Step = checkpoint.Step,
                    BlobHash = blob.Hash,
                    Length = blob.Length,
                    TrainSeconds = checkpoint.TrainSeconds,
                    Engine = engine.Engine,
                    EngineVersion = engine.EngineVersion,
                    Device = engine.Device,
                    CreatedAt = time.GetUtcNow(),
                };
                return await writer.AddCheckpointAsync(claim, row, token);
            },
            stop);
        FailPoint.Hit("checkpoint.recorded");
        File.Delete(checkpoint.Path);
        foreach (var hash in unused)
            await DeleteBlobAsync(hash, stop);
    }

    private async Task DeleteBlobAsync(string hash, CancellationToken cancellationToken)
    {
        try
        {
            await blobs.DeleteAsync(hash, cancellationToken);
        }
        catch (IOException exception)
        {
            // It takes space, and nothing else: no row names it.
            LogNotDeleted(logger, hash, exception.Message);
        }
    }

    private async Task<BlobReference> StoreFileAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return await blobs.PutAsync(file, cancellationToken);
    }

    private Task<long> StoreReportAsync(Claim claim, AttemptReport report, CancellationToken stop) =>
        _persistence.RetryAsync(
            token => report.StoreAsync((progress, metrics, write) => writer.RenewAsync(claim, progress, metrics, write), token), stop);

    private async Task<List<Checkpoint>> CheckpointsAsync(Claim claim, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        return await db.Checkpoints.AsNoTracking()
            .Where(checkpoint => checkpoint.TrajectoryId == claim.TrajectoryId && checkpoint.Step <= claim.Milestones[0])
            .OrderByDescending(checkpoint => checkpoint.Step)
            .ToListAsync(cancellationToken);
    }

    [LoggerMessage(LogLevel.Information, "Trajectory {TrajectoryId} (fence {Fence}) trains in slot {Slot} to step {Step}")]
    private static partial void LogClaimed(ILogger logger, Guid trajectoryId, long fence, int slot, int step);

    [LoggerMessage(LogLevel.Information, "Trajectory {TrajectoryId} reached {Step} steps: accuracy {Accuracy:0.0000}")]
    private static partial void LogMilestone(ILogger logger, Guid trajectoryId, int step, double accuracy);

    [LoggerMessage(LogLevel.Information, "Trajectory {TrajectoryId} ended at step {Step}: {Outcome}")]
    private static partial void LogEnded(ILogger logger, Guid trajectoryId, AttemptOutcome outcome, int? step);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId} is left to whoever claims it next: {Reason}")]
    private static partial void LogAbandoned(ILogger logger, Guid trajectoryId, string reason);

    [LoggerMessage(LogLevel.Error, "An attempt on trajectory {TrajectoryId} is lost")]
    private static partial void LogLostAttempt(ILogger logger, Exception exception, Guid trajectoryId);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId}'s trainer was not asked to stop: {Reason}")]
    private static partial void LogNotAsked(ILogger logger, Guid trajectoryId, string reason);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId}: the checkpoint of step {Step} can't be used, the one before is tried: {Reason}")]
    private static partial void LogBadCheckpoint(ILogger logger, Guid trajectoryId, int step, string reason);

    [LoggerMessage(LogLevel.Warning, "The blob {Hash} is no longer needed and can't be deleted: {Reason}")]
    private static partial void LogNotDeleted(ILogger logger, string hash, string reason);
}

/// <summary>The trainer lives but says nothing.</summary>
public sealed class TrainerSilentException(string message) : Exception(message);

/// <summary>The trainer says why it can't train this.</summary>
public sealed class TrainingFailedException(string message) : Exception(message);
