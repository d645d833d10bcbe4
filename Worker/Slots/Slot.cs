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

    /// <summary>The living trainer, started if there is none.</summary>
    public TrainerProcess Trainer
    {
        get
        {
            lock (_gate)
            {
                if (_trainer is not { IsAlive: true })
                    _trainer = TrainerProcess.Start(program.StartInfo(), logger);
                return _trainer;
            }
        }
    }

    /// <summary>Ends the trainer, whatever it does, and starts a fresh one.</summary>
    public void ReplaceTrainer()
    {
        lock (_gate)
        {
            _trainer?.Kill();
            _trainer = TrainerProcess.Start(program.StartInfo(), logger);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_trainer is not null)
            await _trainer.DisposeAsync();
    }
}
