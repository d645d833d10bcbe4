using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>One change of which experiment answers a model's predictions; the newest one holds.</summary>
public sealed class PredictorChoice : IEntityTypeConfiguration<PredictorChoice>
{
    public required Guid ModelId { get; init; }

    /// <summary>1, 2, ... within the model.</summary>
    public required int Number { get; init; }

    /// <summary>Null where the best one answers.</summary>
    public required Guid? ExperimentId { get; init; }

    public required PredictorAction Action { get; init; }

    /// <summary>The number of the choice that rolling this one back returns to; 0 is the time before the first one, null that there is nothing before.</summary>
    public required int? Previous { get; init; }

    /// <summary>By the database's clock.</summary>
    public required DateTimeOffset ChosenAt { get; init; }

    public void Configure(EntityTypeBuilder<PredictorChoice> builder)
    {
        builder.ToTable("predictor_choices");
        builder.HasKey(choice => new { choice.ModelId, choice.Number });
    }
}

/// <summary>How a predictor came to be.</summary>
public enum PredictorAction
{
    /// <summary>A person chose the experiment.</summary>
    Chosen,

    /// <summary>A person went back to following the best.</summary>
    FollowedBest,

    /// <summary>A person went back to what was before.</summary>
    RolledBack,
}
