using System.Runtime.InteropServices;
using System.Text;

namespace MlExperiments.Training.Cli;

/// <summary>
/// Environment variables that training's speed, memory and results depend on. Programs and libraries read them only when they start, so a process that
/// lacks one of them restarts itself with all of them. Worker, command line and benchmark train alike this way.
/// </summary>
internal static partial class ProcessSettings
{
    private const string Preload = "LD_PRELOAD";

    private static readonly Dictionary<string, string> Wanted = new()
    {
        // A trainer is one thread. The threads of OpenMP and MKL would compete with the trainer beside it, and split sums in other ways.
        ["OMP_NUM_THREADS"] = "1",
        ["MKL_NUM_THREADS"] = "1",
        // Conditional numerical reproducibility: the same product gives the same bits on every run on this processor, at no measurable cost.
        ["MKL_CBWR"] = "AUTO",
        // No debugger ports: a trainer that is killed would leave their files behind.
        ["DOTNET_EnableDiagnostics"] = "0",
        // A trainer makes little garbage and runs the same code for hours. Collect garbage after 2 MiB, do not profile branches, and map code once. Mapping
        // it twice protects against injected code, which a trainer does not receive.
        ["DOTNET_GCgen0size"] = "0x200000",
        ["DOTNET_TieredPGO"] = "0",
        ["DOTNET_EnableWriteXorExecute"] = "0",
        // Milliseconds until mimalloc returns free pages; with its default of 10 to 25 some steps would fault their pages in again. mimalloc 2.0 reads the
        // first name, later versions the second.
        ["MIMALLOC_DECOMMIT_DELAY"] = "1000",
        ["MIMALLOC_PURGE_DELAY"] = "1000",
    };

    /// <summary>Returns at once where all is set. Otherwise it replaces this process by the same program with the same arguments and streams, and doesn't return.</summary>
    /// <exception cref="InvalidOperationException">The program can't be started again.</exception>
    public static void Apply()
    {
        var environment = Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>()
            .ToDictionary(variable => (string)variable.Key, variable => (string?)variable.Value ?? "");
        var missing = Wanted.Where(setting => environment.GetValueOrDefault(setting.Key) != setting.Value).ToList();
        missing.ForEach(setting => environment[setting.Key] = setting.Value);

        // glibc's allocator returns large tensors to the system after every step, and fragments; mimalloc keeps them.
        var preloaded = environment.GetValueOrDefault(Preload, "");
        if (FindAllocator() is { } allocator && !preloaded.Contains(allocator, StringComparison.Ordinal))
        {
            environment[Preload] = $"{preloaded} {allocator}".Trim();
            missing.Add(new(Preload, allocator));
        }

        if (missing.Count == 0) return;
        DeleteDebuggerPorts();
        // Each argument ends with a zero byte.
        var arguments = Encoding.UTF8.GetString(File.ReadAllBytes("/proc/self/cmdline"))[..^1].Split('\0');
        _ = Execute(Environment.ProcessPath!, [.. arguments, null], [.. environment.Select(variable => $"{variable.Key}={variable.Value}"), null]);
        throw new InvalidOperationException($"{Environment.ProcessPath} can't be started again: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    // This runtime has opened its debugger ports, and does not end in order.
    private static void DeleteDebuggerPorts()
    {
        foreach (var kind in new[] { "dotnet-diagnostic", "clr-debug-pipe" })
        {
            foreach (var file in Directory.EnumerateFiles(Path.GetTempPath(), $"{kind}-{Environment.ProcessId}-*")) File.Delete(file);
        }
    }

    private static string? FindAllocator()
    {
        var folder = $"/usr/lib/{(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64")}-linux-gnu";
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "libmimalloc.so.*").Order(StringComparer.Ordinal).FirstOrDefault() : null;
    }

    [LibraryImport("libc", EntryPoint = "execve", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Execute(string path, string?[] arguments, string?[] environment);
}
