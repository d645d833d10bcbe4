using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Testing;

/// <summary>Rows as the Api would write them, for tests of what reads them.</summary>
public sealed class Rows(TestDatabase database)
{
    private static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();
    private int _number;

    public Model Model { get; } = new() { Name = $"model {Guid.NewGuid():N}", InputWidth = 28, InputHeight = 28, InputChannels = 1, CreatedAt = Now };

    public DataSetVersion Version { get; private set; } = null!;
    public Study Study { get; private set; } = null!;

    /// <summary>A model with a data set version and a study, and no image behind them unless the version is given.</summary>
    public static async Task<Rows> AddAsync(TestDatabase database, Func<Model, DataSetVersion>? version = null)
    {
        var rows = new Rows(database);
        rows.Version = version?.Invoke(rows.Model) ?? new DataSetVersion
        {
            ModelId = rows.Model.Id,
            Hash = Hash("rows"),
            ManifestBlob = Hash("manifest"),
            Classes = ["a", "b"],
            TrainCount = 8,
            ValidationCount = 2,
            TestCount = 0,
            CreatedAt = Now,
        };
        rows.Study = new Study
        {
            ModelId = rows.Model.Id,
            DataSetVersionId = rows.Version.Id,
            Name = "study",
            Definition = JsonDocument.Parse("{}").RootElement,
            CreatedAt = Now,
        };
        await using var db = database.NewContext();
        db.Models.Add(rows.Model);
        await db.SaveChangesAsync();
        db.DataSetVersions.Add(rows.Version);
        await db.SaveChangesAsync();
        db.Studies.Add(rows.Study);
        await db.SaveChangesAsync();
        return rows;
    }

    /// <summary>A further study of the model.</summary>
    /// <param name="limit">The most of its trajectories that train at a time.</param>
    public async Task<Study> AddStudyAsync(int? limit)
    {
        await using var db = database.NewContext();
        var study = new Study
        {
            ModelId = Model.Id,
            DataSetVersionId = Version.Id,
            Name = "another study",
            Definition = JsonDocument.Parse("{}").RootElement,
            RunningLimit = limit,
            CreatedAt = Now,
        };
        db.Studies.Add(study);
        await db.SaveChangesAsync();
        return study;
    }

    /// <summary>A waiting trajectory with one queued experiment for each of the given steps.</summary>
    /// <param name="study">Theirs; the model's first one unless given.</param>
    public async Task<Trajectory> AddTrajectoryAsync(TrajectoryParameters parameters, int[] steps, int priority = 0, Study? study = null)
    {
        await using var db = database.NewContext();
        var trajectory = new Trajectory
        {
            ModelId = Model.Id,
            DataSetVersionId = Version.Id,
            Trainer = Model.Trainer,
            Parameters = JsonSerializer.SerializeToElement(parameters, ContractJson.Options),
            Fingerprint = Hash(Guid.NewGuid().ToString()),
            Status = TrajectoryStatus.Waiting,
            Priority = priority,
            WaitingSince = TimeProvider.System.GetUtcNow(),
            CreatedAt = Now,
        };
        db.Trajectories.Add(trajectory);
        await db.SaveChangesAsync();
        foreach (var step in steps)
            await AddExperimentAsync(trajectory, parameters, step, study: study);
        return trajectory;
    }

    public async Task<Experiment> AddExperimentAsync(
        Trajectory trajectory, TrajectoryParameters parameters, int steps, ExperimentStatus status = ExperimentStatus.Queued, Study? study = null)
    {
        await using var db = database.NewContext();
        var number = Interlocked.Increment(ref _number);
        var experiment = new Experiment
        {
            ModelId = Model.Id,
            StudyId = (study ?? Study).Id,
            TrajectoryId = trajectory.Id,
            Number = number,
            Name = $"experiment {number}",
            Status = status,
            Parameters = JsonSerializer.SerializeToElement(
                new ExperimentParameters
                {
                    LearningRate = parameters.LearningRate,
                    Layers = parameters.Layers,
                    Dropout = parameters.Dropout,
                    Filters = parameters.Filters,
                    DenseUnits = parameters.DenseUnits,
                    Steps = steps,
                },
                ContractJson.Options),
            Fingerprint = Hash(Guid.NewGuid().ToString()),
            TotalSteps = steps,
            CreatedAt = Now,
            QueuedAt = Now,
        };
        db.Experiments.Add(experiment);
        await db.SaveChangesAsync();
        return experiment;
    }

    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
