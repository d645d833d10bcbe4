using System.Data.Common;
using System.Threading.Channels;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Worker.DataSets;
using MlExperiments.Worker.Slots;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Jobs;

/// <summary>One attempt on a claimed trajectory, from the claim to the end of its lease.</summary>
public sealed partial class TrajectoryRun(
    IDbContextFactory<ExperimentsDbContext> databases,
    TrajectoryWriter writer,
    PackedDataSets dataSets,
    IBlobStore blobs,
    IOptions<WorkerOptions> options,
    TimeProvider time,
    ILogger<TrajectoryRun> logger)
{
    private static readonly TimeSpan StoreRetry = TimeSpan.FromMilliseconds(500);

    /// <summary>Trains until the milestones are measured, the worker drains, the trainer is lost, or the lease is.</summary>
    public async Task RunAsync(Slot slot, Claim claim, CancellationToken draining)
    {
        LogClaimed(logger, claim.TrajectoryId, claim.Fence, slot.Number, claim.Milestones[^1]);
        var report = new AttemptReport();
        await using var lease = new LeaseKeeper(writer, claim, report, options.Value, logger);
        lease.Start();
        try
        {
            EmptyFolder(slot.Folder);
            var outcome = await TrainAsync(slot, claim, report, draining, lease.Lost);
            await lease.StopAsync();
            await StoreAsync(token => StoreReportAsync(claim, report, token), lease.Lost);
            await StoreAsync(token => writer.ReleaseAsync(claim, outcome, report.Step, token), lease.Lost);
            LogEnded(logger, claim.TrajectoryId, outcome, report.Step);
        }
        catch (Exception) when (lease.Lost.IsCancellationRequested)
        {
            slot.ReplaceTrainer();
            LogAbandoned(logger, claim.TrajectoryId);
        }
        catch (LeaseLostException lost)
        {
            slot.ReplaceTrainer();
            LogLeaseLost(logger, lost.Message);
        }
        catch (OperationCanceledException) when (draining.IsCancellationRequested)
        {
            // It drained before its first step.
            await StoreAsync(token => writer.ReleaseAsync(claim, AttemptOutcome.Drained, report.Step, token), lease.Lost);
        }
        catch (Exception exception)
        {
            slot.ReplaceTrainer();
            LogLostAttempt(logger, exception, claim.TrajectoryId);
            var outcome = exception is TrainerDiedException or TrainerSilentException ? AttemptOutcome.Crashed : AttemptOutcome.Failed;
            await StoreAsync(token => writer.LoseAsync(claim, outcome, report.Step, exception.Message, token), lease.Lost);
        }
    }

    private async Task<AttemptOutcome> TrainAsync(Slot slot, Claim claim, AttemptReport report, CancellationToken draining, CancellationToken lost)
    {
        using var preparing = CancellationTokenSource.CreateLinkedTokenSource(draining, lost);
        var trainer = slot.Trainer;
        var engine = await ReadyAsync(trainer, preparing.Token);
        var dataSet = await dataSets.GetPathAsync(claim.DataSetVersionId, preparing.Token);

        // From the newest checkpoint that is not beyond the first milestone; one that can't be read is passed over for the one before.
        List<Checkpoint?> starts = [.. await CheckpointsAsync(claim, preparing.Token), null];
        foreach (var start in starts)
        {
            var command = new TrainCommand(
                claim.TrajectoryId,
                claim.Parameters,
                dataSet,
                claim.Milestones,
                start is null ? null : await blobs.GetPathAsync(start.BlobHash, preparing.Token),
                slot.Folder,
                options.Value.EvaluateEvery,
                options.Value.CheckpointEvery.TotalSeconds);
            var events = await trainer.TrainAsync(command, preparing.Token);
            var ended = await FollowAsync(trainer, engine, events, claim, start is not null, report, draining, lost);
            if (ended is not null)
                return ended.Value;
            LogBadCheckpoint(logger, claim.TrajectoryId, start!.Step);
        }

        throw new InvalidOperationException("The trainer refused to start.");
    }

    private async Task<ReadyEvent> ReadyAsync(TrainerProcess trainer, CancellationToken cancellationToken)
    {
        try
        {
            return await trainer.Ready.WaitAsync(options.Value.TrainerSilence, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new TrainerSilentException($"The trainer was not ready after {options.Value.TrainerSilence.TotalSeconds:0} s.");
        }
    }

    /// <summary>Stores what the trainer says until it ends; null where it could not read its checkpoint.</summary>
    private async Task<AttemptOutcome?> FollowAsync(
        TrainerProcess trainer,
        ReadyEvent engine,
        ChannelReader<TrainingEvent> events,
        Claim claim,
        bool fromCheckpoint,
        AttemptReport report,
        CancellationToken draining,
        CancellationToken lost)
    {
        using var drainTimeout = new CancellationTokenSource();
        await using var stop = draining.Register(() =>
        {
            drainTimeout.CancelAfter(options.Value.DrainWithin);
            _ = StopTrainerAsync(trainer, claim);
        });
        var started = false;
        var fromStep = 0;
        while (true)
        {
            using var silence = CancellationTokenSource.CreateLinkedTokenSource(lost, drainTimeout.Token);
            silence.CancelAfter(options.Value.TrainerSilence);
            try
            {
                if (!await events.WaitToReadAsync(silence.Token))
                    throw new TrainerDiedException("The trainer ended its events without a last one.");
            }
            catch (OperationCanceledException) when (!lost.IsCancellationRequested)
            {
                throw new TrainerSilentException(draining.IsCancellationRequested
                    ? $"The trainer did not stop within {options.Value.DrainWithin.TotalSeconds:0} s."
                    : $"The trainer said nothing for {options.Value.TrainerSilence.TotalSeconds:0} s.");
            }

            while (events.TryRead(out var said))
            {
                switch (said)
                {
                    case StartedEvent begin:
                        started = true;
                        fromStep = begin.Step;
                        report.Reached(begin.Step);
                        await StoreAsync(token => writer.StartedAsync(claim, begin.Step, token), lost);
                        break;
                    case ProgressEvent progress:
                        report.Add(progress);
                        break;
                    case MetricsEvent metrics:
                        report.Add(metrics);
                        break;
                    case MilestoneEvent milestone:
                        report.Reached(milestone.Step);
                        await StoreAsync(token => StoreMilestoneAsync(claim, fromStep, milestone, token), lost);
                        break;
                    case CheckpointEvent checkpoint:
                        report.Reached(checkpoint.Step);
                        await StoreAsync(token => StoreCheckpointAsync(claim, engine, checkpoint, token), lost);
                        break;
                    case DoneEvent done:
                        report.Reached(done.Step);
                        return AttemptOutcome.Completed;
                    case StoppedEvent stopped:
                        report.Reached(stopped.Step);
                        return AttemptOutcome.Drained;
                    case FailedEvent failed when fromCheckpoint && !started:
                        LogRefused(logger, claim.TrajectoryId, failed.Error);
                        return null;
                    case FailedEvent failed:
                        throw new TrainingFailedException(failed.Error);
                }
            }
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
            LogRefused(logger, claim.TrajectoryId, death.Message);
        }
    }

    private async Task StoreMilestoneAsync(Claim claim, int fromStep, MilestoneEvent milestone, CancellationToken cancellationToken)
    {
        var weights = await StoreFileAsync(milestone.Weights, cancellationToken);
        await writer.CompleteMilestoneAsync(claim, fromStep, milestone, weights.Hash, cancellationToken);
        File.Delete(milestone.Weights);
        LogMilestone(logger, claim.TrajectoryId, milestone.Step, milestone.Accuracy);
    }

    private async Task StoreCheckpointAsync(Claim claim, ReadyEvent engine, CheckpointEvent checkpoint, CancellationToken cancellationToken)
    {
        var blob = await StoreFileAsync(checkpoint.Path, cancellationToken);
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
        var unused = await writer.AddCheckpointAsync(claim, row, cancellationToken);
        File.Delete(checkpoint.Path);
        foreach (var hash in unused)
            await blobs.DeleteAsync(hash, cancellationToken);
    }

    private async Task<BlobReference> StoreFileAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return await blobs.PutAsync(file, cancellationToken);
    }

    private async Task StoreReportAsync(Claim claim, AttemptReport report, CancellationToken cancellationToken)
    {
        var (progress, metrics) = report.Take();
        try
        {
            await writer.RenewAsync(claim, progress, metrics, cancellationToken);
        }
        catch (Exception)
        {
            report.PutBack(progress, metrics);
            throw;
        }
    }

    /// <summary>Tries a write until it succeeds or the lease is lost: a database that is away for a moment costs no attempt.</summary>
    private async Task StoreAsync(Func<CancellationToken, Task> write, CancellationToken lost)
    {
        while (true)
        {
            try
            {
                await write(lost);
                return;
            }
            catch (Exception exception) when (exception is DbException or IOException or RetryLimitExceededException or TimeoutException)
            {
                LogStoreFailed(logger, exception.Message);
            }

            await Task.Delay(StoreRetry, time, lost);
        }
    }

    private async Task<List<Checkpoint>> CheckpointsAsync(Claim claim, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        return await db.Checkpoints.AsNoTracking()
            .Where(checkpoint => checkpoint.TrajectoryId == claim.TrajectoryId && checkpoint.Step <= claim.Milestones[0])
            .OrderByDescending(checkpoint => checkpoint.Step)
            .ToListAsync(cancellationToken);
    }

    private static void EmptyFolder(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder))
            File.Delete(file);
    }

    [LoggerMessage(LogLevel.Information, "Trajectory {TrajectoryId} (fence {Fence}) trains in slot {Slot} to step {Step}")]
    private static partial void LogClaimed(ILogger logger, Guid trajectoryId, long fence, int slot, int step);

    [LoggerMessage(LogLevel.Information, "Trajectory {TrajectoryId} reached {Step} steps: accuracy {Accuracy:0.0000}")]
    private static partial void LogMilestone(ILogger logger, Guid trajectoryId, int step, double accuracy);

    [LoggerMessage(LogLevel.Information, "Trajectory {TrajectoryId} ended at step {Step}: {Outcome}")]
    private static partial void LogEnded(ILogger logger, Guid trajectoryId, AttemptOutcome outcome, int? step);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId} is left to whoever holds its lease now")]
    private static partial void LogAbandoned(ILogger logger, Guid trajectoryId);

    [LoggerMessage(LogLevel.Warning, "{Reason}")]
    private static partial void LogLeaseLost(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Error, "An attempt on trajectory {TrajectoryId} is lost")]
    private static partial void LogLostAttempt(ILogger logger, Exception exception, Guid trajectoryId);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId}: {Reason}")]
    private static partial void LogRefused(ILogger logger, Guid trajectoryId, string reason);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId}: the checkpoint of step {Step} can't be used, the one before is tried")]
    private static partial void LogBadCheckpoint(ILogger logger, Guid trajectoryId, int step);

    [LoggerMessage(LogLevel.Warning, "A result could not be stored yet: {Reason}")]
    private static partial void LogStoreFailed(ILogger logger, string reason);
}

/// <summary>The trainer lives but says nothing.</summary>
public sealed class TrainerSilentException(string message) : Exception(message);

/// <summary>The trainer says why it can't train this.</summary>
public sealed class TrainingFailedException(string message) : Exception(message);
