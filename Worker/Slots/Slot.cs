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

    /// <summary>Resident memory of its trainer; 0 where none lives.</summary>
    public long MemoryBytes
    {
        get
        {
            lock (_gate)
                return _trainer?.MemoryBytes ?? 0;
        }
    }

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
                if (_trainer is { IsAlive: false } dead)
                    DropTrainer(dead);
                return _trainer ??= TrainerProcess.Start(program.StartInfo(), logger);
            }
        }
    }

    /// <summary>Ends this trainer, whatever it does; the next use starts a fresh one. One that has taken its place already is left alone.</summary>
    public void DropTrainer(TrainerProcess trainer)
    {
        lock (_gate)
        {
            if (_trainer != trainer)
                return;
            _trainer = null;
        }

        _ = trainer.DisposeAsync().AsTask();
    }

    public void KillTrainer()
    {
        lock (_gate)
            _trainer?.Kill();
    }

    public async ValueTask DisposeAsync()
    {
        if (_trainer is not null)
            await _trainer.DisposeAsync();
    }
}
