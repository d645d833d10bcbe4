using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Cli;

/// <summary>Where the command line keeps what it makes: packed data sets, and a folder per trajectory with weights and checkpoints.</summary>
internal sealed class TrainedFolder
{
    private readonly string _root;

    private TrainedFolder(string root) => _root = root;

    /// <summary>Packed data sets, by their hash.</summary>
    public string DataSets => Create(Path.Combine(_root, "data"));

    /// <summary><c>--output</c>, which has a default.</summary>
    public static Option<DirectoryInfo?> CreateOption() => new("--output")
    {
        Description = $"Folder for the weights [default: {Default()}]",
    };

    /// <param name="chosen">Null takes the default.</param>
    public static TrainedFolder At(DirectoryInfo? chosen) => new(Path.GetFullPath(chosen?.FullName ?? Default()));

    /// <summary>The folder of all trainings that differ in their steps only.</summary>
    public string Trajectory(ExperimentParameters parameters)
    {
        var trajectory = parameters.WithoutSteps();
        var json = JsonSerializer.SerializeToUtf8Bytes(trajectory, ContractJson.Options);
        var hash = Convert.ToHexStringLower(SHA256.HashData(json))[..12];
        var name = string.Create(CultureInfo.InvariantCulture, $"i{trajectory.LearningRate}-j{trajectory.Layers}-{hash}");
        return Path.Combine(_root, "trained", name);
    }

    /// <summary>The weights of one experiment, whether or not they are there.</summary>
    public string Weights(ExperimentParameters parameters) => Path.Combine(Trajectory(parameters), $"step-{parameters.Steps}.safetensors");

    /// <summary>The trajectory's checkpoint that saves the most steps; null where none is of use.</summary>
    public string? LatestCheckpoint(ExperimentParameters parameters) =>
        new DirectoryInfo(Create(Trajectory(parameters))).EnumerateFiles("checkpoint-*.safetensors")
            .Select(file => (file.FullName, Step: int.Parse(file.Name["checkpoint-".Length..^".safetensors".Length], CultureInfo.InvariantCulture)))
            .Where(checkpoint => checkpoint.Step <= parameters.Steps)
            .OrderByDescending(checkpoint => checkpoint.Step)
            .Select(checkpoint => checkpoint.FullName)
            .FirstOrDefault();

    private static string Create(string folder) => Directory.CreateDirectory(folder).FullName;

    // XDG_DATA_HOME or ~/.local/share; without a home, below the current folder.
    private static string Default() =>
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } data
            ? Path.Combine(data, "ml-experiments")
            : ".mlexperiments";
}
