using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Faults.Tests;

/// <summary>A machine whose cores others keep busy.</summary>
[TestFixture]
[Category("Alone")]
public sealed class BusyMachineTests
{
    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [Test]
    public async Task BusyCores_CostNoWorkerItsLease()
    {
        var lasts = TimeSpan.FromSeconds(Faults.Times(20, 300));
        await _ground.AddGridAsync();
        var (name, _) = _ground.StartWorker(("Slots", "2"), ("Lease", "00:00:15"), ("LeaseMargin", "00:00:03"), ("RenewEvery", "00:00:03"));
        // Who would take over, and sweeps.
        _ground.StartWorker(("Slots", "1"), ("Lease", "00:00:15"), ("LeaseMargin", "00:00:03"), ("RenewEvery", "00:00:03"));
        await _ground.WhenTrainingAsync(name);
        var busy = Enumerable.Range(0, 2 * Environment.ProcessorCount).Select(_ => Process.Start("/bin/sh", ["-c", "while :; do :; done"])).ToList();
        try
        {
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < lasts)
            {
                await _ground.KeepBusyAsync();
                await Faults.PauseAsync(TimeSpan.FromSeconds(1));
            }
        }
        finally
        {
            foreach (var process in busy)
            {
                process.Kill();
                process.Dispose();
            }
        }

        await _ground.EndAsync($"all cores busy for {lasts.TotalSeconds:0} s", 1);
        await using var db = _ground.Stack.Database.NewContext();
        Assert.That(await db.Attempts.Select(attempt => attempt.Outcome).Distinct().ToListAsync(), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Completed }));
    }
}
