using System.Threading.Channels;
using MlExperiments.Shared.Contracts;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Slots;

/// <summary>The worker's slots: one training each, and predictions beside them.</summary>
public sealed class SlotPool : IAsyncDisposable
{
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(1);

    private readonly Slot[] _slots;
    private readonly Channel<Slot> _free;
    private uint _nextForPrediction;

    public SlotPool(WorkerIdentity identity, ScratchFolder scratch, TrainerProgram program, ILogger<Slot> logger)
    {
        _slots = [.. Enumerable.Range(1, identity.Slots).Select(number => new Slot(number, Path.Combine(scratch.Path, $"slot-{number}"), program, logger))];
        _free = Channel.CreateBounded<Slot>(_slots.Length);
        foreach (var slot in _slots)
            _free.Writer.TryWrite(slot);
    }

    public int Busy => _slots.Length - _free.Reader.Count;

    /// <summary>Resident memory of the trainers.</summary>
    public long MemoryBytes => _slots.Sum(slot => slot.MemoryBytes);

    /// <summary>
    /// Starts every trainer, so that the first step and the first prediction don't wait for a process to load, and waits for the
    /// first one: a worker whose trainers can't start would only spoil attempts.
    /// </summary>
    /// <exception cref="TrainerDiedException">It ended; the message has its last words.</exception>
    /// <exception cref="TimeoutException">It says nothing.</exception>
    public async Task<ReadyEvent> WarmUpAsync(CancellationToken cancellationToken)
    {
        foreach (var slot in _slots)
        {
            slot.EmptyFolder();
            _ = slot.Trainer;
        }

        return Engine = await _slots[0].Trainer.Ready.WaitAsync(ReadyWithin, cancellationToken);
    }

    /// <summary>The next free slot; give it back with <see cref="Return"/>.</summary>
    public ValueTask<Slot> TakeAsync(CancellationToken cancellationToken) => _free.Reader.ReadAsync(cancellationToken);

    public void Return(Slot slot) => _free.Writer.TryWrite(slot);

    /// <summary>
    /// A trainer that answers predictions: a resting one where there is one, else the next in turn, between its steps. Null where none
    /// may be disturbed.
    /// </summary>
    public TrainerProcess? ForPrediction()
    {
        if (_free.Reader.TryPeek(out var resting))
            return resting.Trainer;
        var turn = _nextForPrediction++;
        return Enumerable.Range(0, _slots.Length)
            .Select(place => _slots[(turn + place) % _slots.Length].Trainer)
            .FirstOrDefault(trainer => !trainer.IsUndisturbed);
    }

    /// <summary>What the trainers run on, once the first one is warm.</summary>
    public ReadyEvent? Engine { get; private set; }

    /// <summary>For the process's end: no trainer outlives it.</summary>
    public void KillTrainers()
    {
        foreach (var slot in _slots)
            slot.KillTrainer();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var slot in _slots)
            await slot.DisposeAsync();
    }
}
