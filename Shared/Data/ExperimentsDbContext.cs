using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace MlExperiments.Shared.Data;

public sealed partial class ExperimentsDbContext(DbContextOptions<ExperimentsDbContext> options) : DbContext(options)
{
    public DbSet<Model> Models => Set<Model>();
    public DbSet<Image> Images => Set<Image>();
    public DbSet<Pack> Packs => Set<Pack>();
    public DbSet<DataSetVersion> DataSetVersions => Set<DataSetVersion>();
    public DbSet<Study> Studies => Set<Study>();
    public DbSet<Experiment> Experiments => Set<Experiment>();
    public DbSet<ExperimentClasses> ExperimentClasses => Set<ExperimentClasses>();
    public DbSet<Trajectory> Trajectories => Set<Trajectory>();
    public DbSet<Attempt> Attempts => Set<Attempt>();
    public DbSet<Checkpoint> Checkpoints => Set<Checkpoint>();
    public DbSet<MetricPoint> MetricPoints => Set<MetricPoint>();
    public DbSet<Prediction> Predictions => Set<Prediction>();
    public DbSet<Deletion> Deletions => Set<Deletion>();
    public DbSet<PredictorChoice> PredictorChoices => Set<PredictorChoice>();
    public DbSet<Worker> Workers => Set<Worker>();

    /// <summary>The database's time, in queries: the clocks of several machines would make durations negative.</summary>
    public static DateTimeOffset Now() => throw new InvalidOperationException($"{nameof(Now)} is for queries.");

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDbFunction(() => Now()).HasName("now").IsBuiltIn();
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(ExperimentsDbContext).Assembly);
        foreach (var property in modelBuilder.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties()))
        {
            property.SetColumnName(SnakeCase(property.Name));
            // The ids are made by whoever makes the row.
            property.ValueGenerated = Microsoft.EntityFrameworkCore.Metadata.ValueGenerated.Never;
        }
    }

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        configurationBuilder.Properties<ExperimentStatus>().HaveConversion<WordConverter<ExperimentStatus>>();
        configurationBuilder.Properties<TrajectoryStatus>().HaveConversion<WordConverter<TrajectoryStatus>>();
        configurationBuilder.Properties<AttemptOutcome>().HaveConversion<WordConverter<AttemptOutcome>>();
        configurationBuilder.Properties<PredictionStatus>().HaveConversion<WordConverter<PredictionStatus>>();
        configurationBuilder.Properties<PredictorAction>().HaveConversion<WordConverter<PredictorAction>>();
        configurationBuilder.Properties<ImageSplit>().HaveConversion<WordConverter<ImageSplit>>();
    }

    private static string SnakeCase(string name) => WordStart().Replace(name, "_$0").ToLowerInvariant();

    [GeneratedRegex("(?<=[a-z0-9])[A-Z]")]
    private static partial Regex WordStart();

    /// <summary>An enum member is stored as its lower-case name, so that a person reads the table.</summary>
    private sealed class WordConverter<T>() : ValueConverter<T, string>(
        value => value.ToString().ToLowerInvariant(),
        word => Enum.Parse<T>(word, true))
        where T : struct, Enum;
}
