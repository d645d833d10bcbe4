using System.Diagnostics;
using System.Net;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>A worker that is cut off from the database while another one is not.</summary>
[TestFixture]
public sealed class CutWorkerTests
{
    private static readonly TimeSpan ResumesWithin = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StandardLease = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ShortLease = TimeSpan.FromSeconds(4);

    private static IEnumerable<TestCaseData> Cuts =>
        Faults.IsLong
            ? from seconds in new[] { 5, 60, 300 } from inNamespace in new[] { false, true } select new TestCaseData(seconds, StandardLease, inNamespace)
            : [new(5, StandardLease, false), new(20, ShortLease, false), new(8, ShortLease, true)];

    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [TestCaseSource(nameof(Cuts))]
    public async Task CutWorker_StopsInTime_AndGoesOnOnceItIsBack(int seconds, TimeSpan lease, bool inNamespace)
    {
        using var network = inNamespace ? SeparatedNetwork.TryCreate() : null;
        if (inNamespace && network is null)
            Assert.Ignore("Network namespaces need root and ip.");
        // In a namespace the relay only leads from its address to the server's; the cable is what is cut.
        await using var proxy = SilentProxy.To(_ground.Stack.Database.ConnectionString, network is null ? null : IPAddress.Parse(SeparatedNetwork.Host));
        (string, string)[] options =
            [("Lease", $"{lease}"), ("LeaseMargin", $"{lease / 5}"), ("RenewEvery", $"{lease / 5}"), ("CheckpointEvery", "00:00:00.3")];
        await _ground.AddGridAsync();
        var (name, process) = _ground.StartWorkerUnder(
            network?.Launcher ?? [], new() { ["ConnectionStrings__Database"] = $"{proxy.ConnectionString};Application Name=worker-1" }, options);
        var trajectoryId = await _ground.WhenTrainingAsync(name);
        _ground.StartWorker(options);
        var trainer = Processes.ChildrenOf(process.Id)[0];

        Cut();
        var clock = Stopwatch.StartNew();
        var before = await EndedAttemptsAsync(name);
        if (TimeSpan.FromSeconds(seconds) > lease)
        {
            await Eventually.IsTrueAsync("the trainer of what it can't keep to end", TrainingGround.Patience, () => Task.FromResult(Processes.HasEnded(trainer)));
            Assert.That(clock.Elapsed, Is.LessThan(lease + TimeSpan.FromSeconds(1)));
        }

        while (clock.Elapsed < TimeSpan.FromSeconds(seconds))
        {
            await _ground.KeepBusyAsync();
            await Faults.PauseAsync(TimeSpan.FromMilliseconds(200));
        }

        Heal();
        clock.Restart();
        await Eventually.IsTrueAsync("it to go on", TrainingGround.Patience, () => HasGoneOnAsync(name, before));
        Assert.That(clock.Elapsed, Is.LessThan(ResumesWithin));
        await _ground.EndAsync($"a worker cut from the database for {seconds} s ({(inNamespace ? "cable" : "proxy")}, lease {lease.TotalSeconds} s)", 1);
        if (TimeSpan.FromSeconds(seconds) < lease)
            Assert.That((await _ground.Stack.AttemptsAsync(trajectoryId)).Select(attempt => attempt.Outcome), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Completed }));

        void Cut()
        {
            if (network is null)
                proxy.Silence();
            else
                network.Cut();
        }

        void Heal()
        {
            if (network is null)
                proxy.Resume();
            else
                network.Heal();
        }
    }

    private async Task<int> EndedAttemptsAsync(string worker)
    {
        await using var db = _ground.Stack.Database.NewContext();
        return await db.Attempts.CountAsync(attempt => attempt.WorkerName == worker && attempt.Outcome == AttemptOutcome.Completed);
    }

    /// <summary>It has ended another training since.</summary>
    private async Task<bool> HasGoneOnAsync(string worker, int before)
    {
        await _ground.KeepBusyAsync();
        return await EndedAttemptsAsync(worker) > before;
    }
}
