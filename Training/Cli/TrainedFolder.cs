using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Search;

namespace MlExperiments.Training.Cli;

/// <summary>Where the command line keeps what it makes: packed data sets, and a folder per trajectory with weights and checkpoints.</summary>
internal sealed class TrainedFolder
{
    private static readonly TimeSpan AbandonedAfter = TimeSpan.FromDays(1);

    private readonly string _root;

    private TrainedFolder(string root) => _root = root;

    /// <summary>Packed data sets, by their hash.</summary>
    public string DataSets => Create(DataSetsPath);

    private string DataSetsPath => Path.Combine(_root, "data");

    /// <summary><c>--output</c>, which has a default.</summary>
    public static Option<DirectoryInfo?> CreateOption() => new("--output")
    {
        Description = $"Folder for the weights [default: {Default()}]",
    };

    /// <param name="chosen">Null takes the default.</param>
    public static TrainedFolder At(DirectoryInfo? chosen) => new(Path.GetFullPath(chosen?.FullName ?? Default()));

    /// <summary>The packed data sets that are there.</summary>
    public IEnumerable<string> FindDataSets() => Directory.Exists(DataSetsPath) ? Directory.EnumerateFiles(DataSetsPath, "*.safetensors") : [];

    /// <summary>The folder of all trainings that differ in their steps only.</summary>
    public string Trajectory(TrajectoryParameters trajectory)
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Fingerprint.Canonical(trajectory))))[..12];
        var name = string.Create(CultureInfo.InvariantCulture, $"i{trajectory.LearningRate}-j{trajectory.Layers}-{hash}");
        return Path.Combine(_root, "trained", name);
    }

    /// <summary>The weights of one experiment, whether or not they are there.</summary>
    public string Weights(ExperimentParameters parameters) => Path.Combine(Trajectory(parameters.WithoutSteps()), $"step-{parameters.Steps}.safetensors");

    /// <summary>
    /// The trajectory's checkpoints that don't go beyond the parameters' steps, the one that saves the most first. Some may have been made
    /// on images that were there before.
    /// </summary>
    public IReadOnlyList<string> Checkpoints(ExperimentParameters parameters) =>
    [
        .. new DirectoryInfo(Create(Trajectory(parameters.WithoutSteps()))).EnumerateFiles("checkpoint-*.safetensors")
            .Select(file => (file.FullName, Step: Step(file.Name)))
            .Where(checkpoint => checkpoint.Step <= parameters.Steps)
            .OrderByDescending(checkpoint => checkpoint.Step)
            .Select(checkpoint => checkpoint.FullName),
    ];

    // Null for a name that a person gave.
    private static int? Step(string name) =>
        int.TryParse(name["checkpoint-".Length..^".safetensors".Length], NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : null;

    // Without what stayed of runs that were killed while they wrote; younger ones may still be at it.
    private static string Create(string path)
    {
        var folder = Directory.CreateDirectory(path);
        var before = TimeProvider.System.GetUtcNow().UtcDateTime - AbandonedAfter;
        foreach (var file in folder.EnumerateFiles("*.tmp").Where(file => file.LastWriteTimeUtc < before)) file.Delete();
        return folder.FullName;
    }

    // XDG_DATA_HOME or ~/.local/share; without a home, below the current folder.
    private static string Default() =>
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } data
            ? Path.Combine(data, "ml-experiments")
            : ".mlexperiments";
}
