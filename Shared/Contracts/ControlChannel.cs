namespace MlExperiments.Shared.Contracts;

/// <summary>The PostgreSQL notification channel that tells workers that something else is wanted of a running trajectory; the payload is its id.</summary>
public static class ControlChannel
{
    public const string Name = "trajectory_control";
}
