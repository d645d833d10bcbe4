using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Loop;

/// <summary>Who a training works for: a worker's slot behind the line protocol, or a person at the command line.</summary>
internal interface ITrainingHost
{
    /// <summary>Takes what happened.</summary>
    void Report(TrainingEvent happened);

    /// <summary>Deals with what came in meanwhile; called at each step boundary and between evaluation batches.</summary>
    void Attend(TrainingControl control);
}
