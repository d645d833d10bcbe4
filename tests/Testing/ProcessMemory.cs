using System.Globalization;

namespace MlExperiments.Testing;

/// <summary>Processes' memory as the system counts it.</summary>
public static class ProcessMemory
{
    /// <summary>Resident memory now, in bytes.</summary>
    public static long Resident => ResidentOf("self");

    /// <summary>The most resident memory since <see cref="ResetPeak"/>, in bytes.</summary>
    public static long Peak => PeakOf("self");

    public static void ResetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    /// <summary>Another process's resident memory now, in bytes.</summary>
    public static long ResidentOf(string process) => Read($"/proc/{process}/status", "VmRSS:");

    /// <summary>The most resident memory that another process has had, in bytes.</summary>
    public static long PeakOf(string process) => Read($"/proc/{process}/status", "VmHWM:");

    /// <summary>
    /// What a process and its children keep in memory, in bytes: pages that several processes share count for each with its share, so that
    /// the sum over all of them is what they take together. Those that end meanwhile count 0.
    /// </summary>
    public static long ProportionalOfTree(int process)
    {
        try
        {
            return Read($"/proc/{process}/smaps_rollup", "Pss:") + Processes.ChildrenOf(process).Sum(ProportionalOfTree);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static long Read(string path, string name)
    {
        var line = File.ReadLines(path).First(line => line.StartsWith(name, StringComparison.Ordinal));
        var kibibytes = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2].Split('\t')[^1];
        return long.Parse(kibibytes, CultureInfo.InvariantCulture) * 1024;
    }
}
