using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using MlExperiments.Worker.DataSets;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class ClassesTests
{
    private JobsFixture _jobs = null!;

    [SetUp]
    public async Task SetUp() => _jobs = await JobsFixture.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _jobs.DisposeAsync();

    internal static ClassMeasurement Measured(int right, params WrongImage[] worst) =>
        new([10, 10], [10, 10], [right, right], [new(0, 1, 10 - right), new(1, 0, 10 - right)], worst);

    [Test]
    public async Task CompleteMilestone_StoresItsClasses_OnceAndUntilTheExperimentIsDeleted()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        var diverged = new WrongImage(3, 1, 0, double.NaN, double.NaN, new string('a', 64));
        await CompleteAsync(TrajectoryWriterTests.Milestone(claim, 100, 0.9) with { TestClasses = Measured(9, diverged) });
        await CompleteAsync(TrajectoryWriterTests.Milestone(claim, 100, 0.1) with { Classes = Measured(1) });
        await CompleteAsync(TrajectoryWriterTests.Milestone(claim, 200, 0.8) with { Classes = null });

        await using var db = _jobs.Database.NewContext();
        var stored = await db.ExperimentClasses.SingleAsync();
        var experiment = await db.Experiments.SingleAsync(row => row.TotalSteps == 100);
        Assert.That(stored.ExperimentId, Is.EqualTo(experiment.Id), "a trainer that measures no classes leaves none");
        Assert.That(stored.Validation.Deserialize<ClassMeasurement>(ContractJson.Options)!.Right, Is.EqualTo(new[] { 7, 7 }));
        Assert.That(stored.Test!.Value.Deserialize<ClassMeasurement>(ContractJson.Options)!.Worst, Is.EqualTo(new[] { diverged }));

        await db.Experiments.ExecuteDeleteAsync();
        Assert.That(await db.ExperimentClasses.CountAsync(), Is.Zero);

        Task CompleteAsync(MilestoneEvent milestone) =>
            worker.Writer.CompleteMilestoneAsync(claim, 0, [], milestone, Rows.Hash($"{milestone.Step}"), CancellationToken.None);
    }

    [Test]
    public async Task CompleteMilestone_OfAnExperimentThatWasCancelled_StoresNoClasses()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        await using var db = _jobs.Database.NewContext();
        await db.Experiments.ExecuteUpdateAsync(set => set.SetProperty(experiment => experiment.Status, ExperimentStatus.Cancelled));

        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], TrajectoryWriterTests.Milestone(claim, 100, 0.9), Rows.Hash("w"), CancellationToken.None);

        Assert.That(await db.ExperimentClasses.CountAsync(), Is.Zero);
    }

    [Test]
    public async Task WorstImages_AreNamedByTheirHash_WhereTheManifestIsThere()
    {
        using var folder = new TemporaryFolder();
        var rows = await TestModel.AddWithDigitsAsync(_jobs.Database, folder.Path, perClass: 10);
        var blobs = TestModel.OpenBlobs(folder.Path);
        var manifest = DataSetManifest.Open(await blobs.GetPathAsync(rows.Version.ManifestBlob, CancellationToken.None));
        var hashes = new ImageHashes(_jobs.Databases, blobs, NullLogger<ImageHashes>.Instance);
        var last = manifest.Count - 1;
        var milestone = new MilestoneEvent(Guid.NewGuid(), 100, 0.5, 1, 1, 0.5, false, "", "", 1, true)
        {
            Classes = Measured(8, Wrong(last), Wrong(manifest.Count), Wrong(-1)),
            TestClasses = Measured(8, Wrong(0), Wrong(last)),
        };

        var named = await hashes.NameAsync(rows.Version.Id, milestone, CancellationToken.None);
        Assert.That(named.Classes!.Worst.Select(image => image.Sha256), Is.EqualTo(new[] { Hash(last), null, null }), "rows that there are not stay without");
        Assert.That(named.TestClasses!.Worst.Select(image => image.Sha256), Is.EqualTo(new[] { Hash(0), Hash(last) }));
        Assert.That(named.Classes.Confusions, Is.EqualTo(milestone.Classes!.Confusions));

        // Locked, as an unreadable one would be.
        using (File.Open(await blobs.GetPathAsync(rows.Version.ManifestBlob, CancellationToken.None), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
            Assert.That(await hashes.NameAsync(rows.Version.Id, milestone, CancellationToken.None), Is.SameAs(milestone));
        await blobs.DeleteAsync(rows.Version.ManifestBlob, CancellationToken.None);
        Assert.That(await hashes.NameAsync(rows.Version.Id, milestone, CancellationToken.None), Is.SameAs(milestone), "the result goes before its images' names");

        string Hash(int row) => Convert.ToHexStringLower(manifest.Sha256(row));

        static WrongImage Wrong(int row) => new(row, 0, 1, 0.9, 0.1);
    }
}
