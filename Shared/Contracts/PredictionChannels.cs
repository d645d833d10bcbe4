namespace MlExperiments.Shared.Contracts;

/// <summary>PostgreSQL notification channels between the Api and the workers; the payload is the prediction's id, asked for several at once that of the first.</summary>
public static class PredictionChannels
{
    public const string Asked = "predictions";
    public const string Answered = "predictions_done";
}
