using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using MlExperiments.Shared;
using MlExperiments.Shared.Contracts;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Slots;

/// <summary>
/// One trainer, a child process that speaks the line protocol (<see cref="TrainerCommand"/>). Its death costs what it was
/// doing and nothing else: whoever waits for it gets a <see cref="TrainerDiedException"/>.
/// </summary>
public sealed partial class TrainerProcess : IAsyncDisposable
{
    private const int KeptLogLines = 20;
    private const int MaxLogLineLength = 1000;

    /// <summary>Longer than any event: the largest holds the probabilities of a batch of images.</summary>
    private const int MaxEventLength = 16 * 1024 * 1024;

    private static readonly TimeSpan ExitWithin = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LastWordsWithin = TimeSpan.FromSeconds(1);

    private readonly Process _process;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly ConcurrentDictionary<Guid, TaskCompletionSource<PredictionEvent>> _predictions = new();
    private readonly ConcurrentQueue<string> _log = new();
    private readonly TaskCompletionSource<ReadyEvent> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly Task _readingLog;
    private readonly Task _reading;
    private Channel<TrainingEvent>? _training;
    private Guid _trainingId;
    private TrainerDiedException? _death;

    private TrainerProcess(Process process, ILogger logger)
    {
        _process = process;
        _logger = logger;
        _readingLog = ReadLogAsync();
        _reading = ReadEventsAsync();
    }

    /// <summary>Its first words; fails when it dies before them.</summary>
    public Task<ReadyEvent> Ready => _ready.Task;

    public bool IsAlive
    {
        get
        {
            lock (_gate)
                return _death is null && !_process.HasExited;
        }
    }

    /// <summary>True from the start of a training to its last event.</summary>
    public bool IsTraining
    {
        get
        {
            lock (_gate)
                return _training is not null;
        }
    }

    /// <summary>No predictions are put to it while it trains: one that ends it would end more than an attempt.</summary>
    public bool IsUndisturbed { get; set; }

    public int ProcessId => _process.Id;

    /// <summary>Resident memory; 0 once it has ended.</summary>
    public long MemoryBytes
    {
        get
        {
            try
            {
                _process.Refresh();
                return _process.HasExited ? 0 : _process.WorkingSet64;
            }
            catch (InvalidOperationException)
            {
                // It ended in between.
                return 0;
            }
        }
    }

    public static TrainerProcess Start(ProcessStartInfo program, ILogger logger)
    {
        program.RedirectStandardInput = program.RedirectStandardOutput = program.RedirectStandardError = true;
        var process = Process.Start(program) ?? throw new InvalidOperationException($"{program.FileName} did not start.");
        LogStarted(logger, process.Id);
        return new TrainerProcess(process, logger);
    }

    /// <summary>Starts a training and gives its events, in order, until the one that ends it; dying ends them with an exception.</summary>
    public async Task<ChannelReader<TrainingEvent>> TrainAsync(TrainCommand command, CancellationToken cancellationToken)
    {
        // Unbounded: a trainer writes a few lines a second, and a full pipe would stop its steps.
        var channel = Channel.CreateUnbounded<TrainingEvent>(new UnboundedChannelOptions { SingleReader = true });
        lock (_gate)
        {
            if (_training is not null)
                throw new InvalidOperationException("This trainer trains already.");
            if (_death is not null)
                throw _death;
            _training = channel;
            _trainingId = command.TrajectoryId;
        }

        await SendAsync(command, cancellationToken);
        return channel.Reader;
    }

    /// <summary>Returns once the trainer's pipe has the command: one that hangs may not take it.</summary>
    /// <exception cref="TrainerDiedException">It died before.</exception>
    public Task SendAsync(TrainerCommand command, CancellationToken cancellationToken) =>
        WriteAsync(command, cancellationToken).WaitAsync(cancellationToken);

    /// <exception cref="TrainerDiedException">It died before it answered.</exception>
    public async Task<PredictionEvent> PredictAsync(PredictCommand command, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<PredictionEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_death is not null)
                throw _death;
            _predictions[command.Id] = answer;
        }

        try
        {
            await SendAsync(command, cancellationToken);
            return await answer.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            _predictions.TryRemove(command.Id, out _);
        }
    }

    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception exception) when (exception is InvalidOperationException or AggregateException)
        {
            // Gone already, or some child of its own is: which is what was asked for.
        }
    }

    public async ValueTask DisposeAsync()
    {
        Kill();
        await _reading;
        // A child of the trainer's own may keep its log open; nobody waits for that.
        await Task.WhenAny(_readingLog, Task.Delay(LastWordsWithin));
        _process.Dispose();
        _writing.Dispose();
    }

    private async Task WriteAsync(TrainerCommand command, CancellationToken cancellationToken)
    {
        var line = JsonSerializer.Serialize(command, ContractJson.Options);
        await _writing.WaitAsync(cancellationToken);
        try
        {
            // Not cancelled half way: the rest of a line would spoil the next command.
            await _process.StandardInput.WriteLineAsync(line.AsMemory(), CancellationToken.None);
            await _process.StandardInput.FlushAsync(CancellationToken.None);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // Its end is near or here: the reader knows how it died.
            await _reading.WaitAsync(cancellationToken);
            throw _death!;
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadEventsAsync()
    {
        var events = new BoundedLineReader(_process.StandardOutput, MaxEventLength);
        while (await events.ReadLineAsync() is { } line)
        {
            try
            {
                Dispatch(JsonSerializer.Deserialize<TrainerEvent>(line, ContractJson.Options));
            }
            catch (Exception exception) when (exception is JsonException or NotSupportedException)
            {
                LogUnreadable(_logger, ProcessId, exception.Message, line.Length > 200 ? line[..200] : line);
            }
        }

        // A trainer without a voice is of no use, and its last words may still be on their way.
        var exit = _process.WaitForExitAsync();
        if (await Task.WhenAny(exit, Task.Delay(ExitWithin)) != exit)
            Kill();
        await exit;
        await Task.WhenAny(_readingLog, Task.Delay(LastWordsWithin));
        var death = Died();
        _ready.TrySetException(death);
        // Observed here: nobody may be waiting for a trainer that dies idle.
        _ = _ready.Task.Exception;
        lock (_gate)
        {
            _death = death;
            _training?.Writer.TryComplete(death);
            _training = null;
        }

        foreach (var prediction in _predictions.Values)
            prediction.TrySetException(death);
    }

    private void Dispatch(TrainerEvent? received)
    {
        switch (received)
        {
            case ReadyEvent ready:
                _ready.TrySetResult(ready);
                break;
            case PredictionEvent prediction when _predictions.TryGetValue(prediction.Id, out var answer):
                answer.TrySetResult(prediction);
                break;
            case TrainingEvent training:
                lock (_gate)
                {
                    if (_training is null || training.TrajectoryId != _trainingId)
                        break;
                    _training.Writer.TryWrite(training);
                    if (training is DoneEvent or StoppedEvent or FailedEvent)
                    {
                        _training.Writer.TryComplete();
                        _training = null;
                    }
                }

                break;
        }
    }

    private async Task ReadLogAsync()
    {
        var log = new BoundedLineReader(_process.StandardError, MaxLogLineLength);
        while (await log.ReadLineAsync() is { } line)
        {
            _log.Enqueue(line);
            while (_log.Count > KeptLogLines)
                _log.TryDequeue(out _);
            LogTrainerLine(_logger, ProcessId, line);
        }
    }

    private TrainerDiedException Died()
    {
        var how = _process.ExitCode > 128
            ? $"The trainer was ended by signal {_process.ExitCode - 128}."
            : $"The trainer exited with code {_process.ExitCode}.";
        return new TrainerDiedException(how, [.. _log]);
    }

    [LoggerMessage(LogLevel.Debug, "Trainer {ProcessId} started")]
    private static partial void LogStarted(ILogger logger, int processId);

    [LoggerMessage(LogLevel.Information, "Trainer {ProcessId}: {Line}")]
    private static partial void LogTrainerLine(ILogger logger, int processId, string line);

    [LoggerMessage(LogLevel.Warning, "Trainer {ProcessId} wrote what is no event ({Reason}): {Line}")]
    private static partial void LogUnreadable(ILogger logger, int processId, string reason, string line);
}

/// <summary>A trainer's process ended, or was ended, before its work was.</summary>
/// <param name="how">A sentence.</param>
/// <param name="log">The last lines of its log.</param>
public sealed class TrainerDiedException(string how, params IReadOnlyList<string> log)
    : Exception(log.Count == 0 ? how : $"{how} Its last words:\n{string.Join('\n', log)}")
{
    private static readonly string[] Causes = [StartUpError.Prefix, "Unhandled exception. "];

    /// <summary>How it ended, and why by the line of its log that says so: one line.</summary>
    public string Summary
    {
        get
        {
            foreach (var line in log.Reverse())
            {
                if (Causes.FirstOrDefault(cause => line.StartsWith(cause, StringComparison.Ordinal)) is { } cause)
                    return $"{how.TrimEnd('.')}: {line[cause.Length..]}";
            }

            return log.Count == 0 ? how : $"{how.TrimEnd('.')}: {log[^1]}";
        }
    }
}
