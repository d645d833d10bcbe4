using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Faults.Tests;

/// <summary>Workers whose wall clocks are minutes off.</summary>
[TestFixture]
public sealed class WrongClockTests
{
    private static readonly TimeSpan StartsWithin = TimeSpan.FromSeconds(30);

    // Far less than the clocks are off, and more than a busy machine keeps a worker from renewing.
    private static readonly (string, string) Lease = ("Lease", "00:01:00");

    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [Test]
    public async Task WrongClocks_StealNothingEarly_AndKeepTheOrder()
    {
        await _ground.AddGridAsync();
        // Tickets of a right clock, which a slow one must not take for tomorrow's.
        await _ground.Stack.EnqueueAsync(9);
        var asked = TimeProvider.System.GetTimestamp();
        var (slow, _) = _ground.StartWorkerUnder([], WithClock("-10m"), Lease);
        await _ground.WhenTrainingAsync(slow);
        Assert.That(TimeProvider.System.GetElapsedTime(asked), Is.LessThan(StartsWithin));
        _ground.StartWorkerUnder([], WithClock("+10m"), Lease);
        _ground.StartWorker(Lease);

        await _ground.EndAsync("wall clocks of workers 10 minutes slow and fast", 2);
        await using var db = _ground.Stack.Database.NewContext();
        var outcomes = await db.Attempts.Select(attempt => attempt.Outcome).Distinct().ToListAsync();
        var order = await db.Trajectories.OrderBy(trajectory => trajectory.Id).Select(trajectory => trajectory.Id).ToListAsync();
        var claims = await Audit.ClaimsAsync(_ground.Stack.Database);
        Assert.Multiple(() =>
        {
            Assert.That(outcomes, Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Completed }));
            Assert.That(claims, Is.EqualTo(order));
        });
    }

    private static Dictionary<string, string?> WithClock(string offset)
    {
        // In the folder of one architecture. Not a search through all below: /usr/lib/llvm-* has links to itself, which make it endless.
        var library = Directory.EnumerateDirectories("/usr/lib").Select(folder => Path.Combine(folder, "faketime", "libfaketimeMT.so.1")).FirstOrDefault(File.Exists);
        Assert.That(library, Is.Not.Null, "This test needs libfaketime: apt-get install faketime.");
        return new()
        {
            ["LD_PRELOAD"] = library,
            ["FAKETIME"] = offset,
            ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
            // Or it would let .NET's waits, which go by the monotonic clock, end at once.
            ["FAKETIME_FORCE_MONOTONIC_FIX"] = "0",
        };
    }
}
