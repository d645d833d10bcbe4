using System.Diagnostics;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Slots;

/// <summary>Which program a trainer is.</summary>
public sealed class TrainerProgram(IOptions<WorkerOptions> options)
{
    private const string FileName = "MlExperiments.Training.dll";

    public ProcessStartInfo StartInfo() => options.Value.TrainerCommand is { Length: > 0 } command
        ? new ProcessStartInfo(command, options.Value.TrainerArguments)
        : new ProcessStartInfo(DotnetHost(), [BuiltIn(), "serve", "--device", options.Value.Device]);

    private static string DotnetHost() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";

    /// <summary>Beside this program when published, or in the neighbour project's output when built.</summary>
    private static string BuiltIn()
    {
        var here = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        string[] places = [Path.Combine(here, "..", "Training", FileName), Path.Combine(here.Replace("/Worker/", "/Training/", StringComparison.Ordinal), FileName)];
        return places.Select(Path.GetFullPath).FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException(
                $"The trainer {FileName} is in none of {string.Join(", ", places.Select(Path.GetFullPath))}: build the solution, or set {WorkerOptions.Section}__{nameof(WorkerOptions.TrainerCommand)}.");
    }
}
