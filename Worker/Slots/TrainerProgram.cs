using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Slots;

/// <summary>How a trainer is started: which program, and the environment that its speed and memory depend on.</summary>
public sealed class TrainerProgram(IOptions<WorkerOptions> options)
{
    private const string FileName = "MlExperiments.Training.dll";

    public ProcessStartInfo StartInfo()
    {
        var program = options.Value.TrainerCommand is { Length: > 0 } command
            ? new ProcessStartInfo(command, options.Value.TrainerArguments)
            : new ProcessStartInfo(DotnetHost(), [BuiltIn(), "serve", "--device", options.Value.Device]);

        // One slot is one thread; a second OpenBLAS thread would spin beside it.
        program.Environment["OMP_NUM_THREADS"] = "1";
        program.Environment["OPENBLAS_NUM_THREADS"] = "1";
        // No debugger ports: a trainer that is killed would leave their files behind.
        program.Environment["DOTNET_EnableDiagnostics"] = "0";
        // A trainer makes little garbage, and the same code runs for hours: 2 MiB before it is collected instead of the processor's cache, no counting of
        // how often each branch is taken, and code that is mapped once instead of twice, which is a hardening less; it takes nothing from a network.
        program.Environment["DOTNET_GCgen0size"] = "0x200000";
        program.Environment["DOTNET_TieredPGO"] = "0";
        program.Environment["DOTNET_EnableWriteXorExecute"] = "0";
        // glibc gives large tensors back to the system after every step and fragments; mimalloc keeps them.
        if (FindAllocator() is { } allocator)
        {
            program.Environment["LD_PRELOAD"] = allocator;
            // Milliseconds until it gives pages back: by its own 25 some steps would fault theirs in again.
            program.Environment["MIMALLOC_DECOMMIT_DELAY"] = "1000";
        }

        return program;
    }

    private static string? FindAllocator()
    {
        var architecture = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64";
        var folder = $"/usr/lib/{architecture}-linux-gnu";
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "libmimalloc.so.*").Order(StringComparer.Ordinal).FirstOrDefault() : null;
    }

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
