using MlExperiments.Worker.Slots;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker;

/// <summary>
/// Ends the process when it was asked to stop and something holds that up: a database that is silent, a folder that hangs. The one
/// limit of a stop, so that whoever asked for it doesn't have to kill.
/// </summary>
internal sealed partial class StopDeadline(
    SlotPool slots, IHostApplicationLifetime lifetime, IOptions<WorkerOptions> options, ILoggerFactory loggers, ILogger<StopDeadline> logger)
{
    // On a thread of its own: those of the pool may be what hangs.
    public void Arm() => lifetime.ApplicationStopping.Register(() => new Thread(End) { IsBackground = true, Name = nameof(StopDeadline) }.Start());

    private void End()
    {
        Thread.Sleep(options.Value.StopWithin);
        slots.KillTrainers();
        LogNotInTime(logger, options.Value.StopWithin.TotalSeconds);
        // Else the line would be lost with the process.
        loggers.Dispose();
        Environment.Exit(1);
    }

    [LoggerMessage(LogLevel.Error, "Not everything ended within {Seconds:0} s; what was left is taken up by other workers once its lease runs out.")]
    private static partial void LogNotInTime(ILogger logger, double seconds);
}
