using MlExperiments.Shared.Contracts;
using MlExperiments.Worker.Slots;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Jobs;

/// <summary>Tells an attempt's trainer what is wanted whenever that changes: other milestones, a checkpoint to adjust from, or nothing more.</summary>
internal sealed partial class AttemptControl(
    TrajectoryWriter writer, TrainerProcess trainer, Claim claim, ControlSignal control, Persistence persistence, ILogger logger, CancellationToken stop) : IAsyncDisposable
{
    private readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
    private Task _following = Task.CompletedTask;

    public void Start()
    {
        // What changed since the claim.
        control.Set();
        _following = Task.Run(FollowAsync);
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _following;
        _ended.Dispose();
    }

    private async Task FollowAsync()
    {
        var told = claim.Milestones;
        try
        {
            while (true)
            {
                await control.WaitAsync(_ended.Token);
                var wanted = await persistence.RetryAsync(token => writer.ReadWantedAsync(claim, token), _ended.Token);
                if (!wanted.Steps.SequenceEqual(told))
                    await trainer.SendAsync(new MilestonesCommand(claim.TrajectoryId, wanted.Steps), _ended.Token);
                told = wanted.Steps;
                if (wanted.HasAdjustments)
                    await trainer.SendAsync(new CheckpointCommand(claim.TrajectoryId), _ended.Token);
            }
        }
        catch (Exception exception) when (_ended.IsCancellationRequested || exception is LeaseLostException or TrainerDiedException)
        {
            // The attempt is over, or learns by itself that it is.
        }
        catch (Exception exception)
        {
            LogFailed(logger, exception, claim.TrajectoryId);
        }
    }

    [LoggerMessage(LogLevel.Error, "Trajectory {TrajectoryId} can't be controlled any more by this attempt")]
    private static partial void LogFailed(ILogger logger, Exception exception, Guid trajectoryId);
}
