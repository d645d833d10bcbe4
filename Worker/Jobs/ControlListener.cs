using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Jobs;

/// <summary>Hears that something else is wanted of a trajectory, and tells its attempt. What it misses, the next renewal of the lease finds.</summary>
public sealed partial class ControlListener(IConfiguration configuration, RunningAttempts attempts, ILogger<ControlListener> logger) : BackgroundService
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await Database.ListenAsync(configuration, ControlChannel.Name, Hear, stoppingToken);
                attempts.TellAll();
                while (true)
                    await connection.WaitAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The database may be away; listen again on a new connection.
                LogFailed(logger, exception.Message);
                await Task.Delay(RetryAfter, stoppingToken);
            }
        }
    }

    private void Hear(string payload)
    {
        if (Guid.TryParse(payload, out var trajectoryId))
            attempts.Tell(trajectoryId);
    }

    [LoggerMessage(LogLevel.Warning, "Changes of what is wanted can't be heard now: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);
}
