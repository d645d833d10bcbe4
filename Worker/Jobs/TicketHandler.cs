using MlExperiments.Shared.Queue;
using MlExperiments.Worker.Slots;
using Microsoft.Extensions.Hosting;

namespace MlExperiments.Worker.Jobs;

/// <summary>A ticket: claim the best waiting trajectory, train it, end with it. With nothing to claim it ends at once.</summary>
internal sealed class TicketHandler(SlotPool slots, Claims claims, TrajectoryRun run, IHostApplicationLifetime lifetime) : ITicketHandler
{
    public async Task HandleAsync(CancellationToken cancellationToken)
    {
        // Hangfire's token is not passed on: it may fire late or never. A training stops when the host stops.
        var draining = lifetime.ApplicationStopping;
        if (draining.IsCancellationRequested)
            return;

        var slot = await slots.TakeAsync(draining);
        try
        {
            // Before the claim: one that can't be started costs no attempt.
            var trainer = slot.Trainer;
            if (await claims.NextAsync(draining) is { } claim)
                await run.RunAsync(slot, trainer, claim, draining);
        }
        finally
        {
            slots.Return(slot);
        }
    }
}
