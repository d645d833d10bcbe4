using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Threading.Channels;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Cli;

/// <summary>
/// Commands as they come in, read on a thread of their own so that a training sees them at its next step. A line that is no
/// command is reported on standard error and otherwise ignored.
/// </summary>
internal sealed class CommandInbox
{
    // Nothing to dispose of, which the reading thread could meet half-way: it goes on until the process ends.
    private readonly Channel<TrainerCommand> _commands = Channel.CreateUnbounded<TrainerCommand>(new() { SingleWriter = true, SingleReader = true });
    private volatile bool _ended;

    public CommandInbox(TextReader lines) =>
        new Thread(() => Read(lines)) { Name = "commands", IsBackground = true }.Start();

    /// <summary>Whoever sends commands is gone; what is still waiting doesn't matter any more.</summary>
    public bool Ended => _ended;

    /// <summary>Waits for the next command.</summary>
    /// <returns>Null once the input has ended.</returns>
    public TrainerCommand? Take()
    {
        while (!_ended && _commands.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            if (TryTake(out var command)) return _ended ? null : command;
        }

        return null;
    }

    /// <summary>A command that is there already.</summary>
    public bool TryTake([NotNullWhen(true)] out TrainerCommand? command) => _commands.Reader.TryRead(out command);

    private void Read(TextReader lines)
    {
        try
        {
            while (lines.ReadLine() is { } line)
            {
                if (!string.IsNullOrWhiteSpace(line) && Parse(line) is { } command) _commands.Writer.TryWrite(command);
            }
        }
        catch (IOException error)
        {
            Console.Error.WriteLine($"Standard input can't be read any more: {error.Message}");
        }

        _ended = true;
        _commands.Writer.Complete();
    }

    private static TrainerCommand? Parse(string line)
    {
        try
        {
            if (JsonSerializer.Deserialize<TrainerCommand>(line, ContractJson.Options) is { } command) return command;
            Console.Error.WriteLine("A line was ignored: it holds no command.");
        }
        // NotSupportedException: a type that is left out or unknown.
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            Console.Error.WriteLine($"A line was ignored: {error.Message}");
        }

        return null;
    }
}
