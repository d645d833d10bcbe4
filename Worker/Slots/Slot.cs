using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Slots;

/// <summary>A place for one training at a time, with a warm trainer and a folder of its own.</summary>
public sealed class Slot(int number, string folder, TrainerProgram program, ILogger<Slot> logger) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private TrainerProcess? _trainer;

    public int Number => number;

    /// <summary>Where its trainer writes; only files of the running attempt are in it.</summary>
    public string Folder => folder;

    /// <summary>Removes what an attempt left, also of a worker that was killed here before.</summary>
    public void EmptyFolder()
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
    }

    /// <summary>The living trainer, started if there is none.</summary>
    public TrainerProcess Trainer
    {
        get
        {
            lock (_gate)
            {
                if (_trainer is { IsAlive: false })
                    DropTrainer();
                return _trainer ??= TrainerProcess.Start(program.StartInfo(), logger);
            }
        }
    }

    /// <summary>Ends the trainer, whatever it does; the next use starts a fresh one.</summary>
    public void DropTrainer()
    {
        lock (_gate)
        {
            if (_trainer is { } dropped)
                _ = dropped.DisposeAsync().AsTask();
            _trainer = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_trainer is not null)
            await _trainer.DisposeAsync();
    }
}
