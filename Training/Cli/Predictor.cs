using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;

namespace MlExperiments.Training.Cli;

/// <summary>Classifies images; the weights that were used last stay loaded.</summary>
internal sealed class Predictor : IDisposable
{
    private const int Capacity = 4;

    // The one used last comes last.
    private readonly List<(string Path, Network Network)> _loaded = [];

    /// <summary>The answer, or why there is none.</summary>
    public PredictionEvent Answer(PredictCommand command)
    {
        if (command.Weights is null || command.Pixels is null || command.Pixels.Any(image => image is null))
            return new(command.Id, null, "A prediction needs weights and pixels.");
        try
        {
            return new(command.Id, Evaluation.Predict(Load(command.Weights), command.Pixels));
        }
        catch (Exception error)
        {
            // Whatever is wrong with a file costs this answer only.
            return new(command.Id, null, error.Message);
        }
    }

    public void Dispose()
    {
        foreach (var (_, network) in _loaded) network.Dispose();
    }

    private Network Load(string path)
    {
        var place = _loaded.FindIndex(entry => entry.Path == path);
        var entry = place >= 0 ? _loaded[place] : (path, WeightsFile.Read(path).Network);
        if (place >= 0) _loaded.RemoveAt(place);
        _loaded.Add(entry);
        if (_loaded.Count > Capacity)
        {
            _loaded[0].Network.Dispose();
            _loaded.RemoveAt(0);
        }

        return entry.Item2;
    }
}
