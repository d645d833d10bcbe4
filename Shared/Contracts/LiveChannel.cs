namespace MlExperiments.Shared.Contracts;

/// <summary>The PostgreSQL notification channel on which the database tells of changed experiments; the payload is the model's id.</summary>
public static class LiveChannel
{
    public const string Changed = "experiments_changed";
}
