using MlExperiments.Testing;
using MlExperiments.Worker.Slots;
using Microsoft.Extensions.Logging.Abstractions;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class SlotPoolTests
{
    private TemporaryFolder _folder = null!;
    private SlotPool _slots = null!;

    [SetUp]
    public async Task SetUp()
    {
        _folder = new TemporaryFolder();
        var options = Microsoft.Extensions.Options.Options.Create(new WorkerOptions
        {
            Slots = 2,
            Folder = _folder.Path,
            TrainerCommand = "/bin/sh",
            TrainerArguments = ["-c", """echo '{"type":"ready","engine":"none","engineVersion":"0","device":"cpu"}'; cat > /dev/null"""],
        });
        _slots = new SlotPool(
            new WorkerIdentity(options), new ScratchFolder(options, NullLogger<ScratchFolder>.Instance), new TrainerProgram(options), NullLogger<Slot>.Instance);
        await _slots.WarmUpAsync(CancellationToken.None);
    }

    [TearDown]
    public async Task TearDown()
    {
        await _slots.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task DropTrainer_OfOneThatWasReplaced_LeavesItsSuccessorAlone()
    {
        var slot = await _slots.TakeAsync(CancellationToken.None);
        var first = slot.Trainer;
        slot.DropTrainer(first);
        var second = slot.Trainer;

        slot.DropTrainer(first);

        await Eventually.IsTrueAsync("the first trainer to end", WorkerStack.Patience, () => Task.FromResult(!first.IsAlive));
        Assert.Multiple(() =>
        {
            Assert.That(slot.Trainer, Is.SameAs(second).And.Not.SameAs(first));
            Assert.That(second.IsAlive, Is.True);
        });
    }

    [Test]
    public async Task Engine_WhileATrainerIsAway_IsKnown_AndStartsNone()
    {
        var before = Processes.ChildrenOf(Environment.ProcessId);
        foreach (var _ in Enumerable.Range(0, 2))
        {
            var slot = await _slots.TakeAsync(CancellationToken.None);
            slot.DropTrainer(slot.Trainer);
        }

        Assert.Multiple(() =>
        {
            Assert.That(_slots.Engine?.Engine, Is.EqualTo("none"));
            Assert.That(Processes.ChildrenOf(Environment.ProcessId).Except(before), Is.Empty);
        });
    }
}
