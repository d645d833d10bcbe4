using System.Runtime.InteropServices;
using System.Text;

namespace MlExperiments.Training.Cli;

/// <summary>
/// The environment variables that the speed, the memory and the results of training depend on. They are read when a process or a library
/// starts, so a process that lacks some starts itself again with them: whoever starts a training gets the same one.
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
        // A trainer makes little garbage and runs the same code for hours: collect after 2 MiB instead of the size of the processor's cache, don't
        // count branches, and map code once instead of twice (that is hardening against code from a network, which a trainer doesn't run).
        ["DOTNET_GCgen0size"] = "0x200000",
        ["DOTNET_TieredPGO"] = "0",
        ["DOTNET_EnableWriteXorExecute"] = "0",
        // Milliseconds until mimalloc returns free pages: with its own 10 to 25 some steps would fault their pages in again. Both names, of 2.0 and later.
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
        var arguments = Encoding.UTF8.GetString(File.ReadAllBytes("/proc/self/cmdline")).TrimEnd('\0').Split('\0');
        _ = Execute(Environment.ProcessPath!, [.. arguments, null], [.. environment.Select(variable => $"{variable.Key}={variable.Value}"), null]);
        throw new InvalidOperationException($"{Environment.ProcessPath} can't be started again: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    private static string? FindAllocator()
    {
        var folder = $"/usr/lib/{(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64")}-linux-gnu";
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "libmimalloc.so.*").Order(StringComparer.Ordinal).FirstOrDefault() : null;
    }

    [LibraryImport("libc", EntryPoint = "execve", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Execute(string path, string?[] arguments, string?[] environment);
}
