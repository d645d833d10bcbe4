using System.Globalization;

namespace MlExperiments.Testing;

/// <summary>This process's memory as the system counts it.</summary>
public static class ProcessMemory
{
    /// <summary>Resident memory now, in bytes.</summary>
    public static long Resident => ResidentOf("self");

    /// <summary>The most resident memory since <see cref="ResetPeak"/>, in bytes.</summary>
    public static long Peak => PeakOf("self");

    public static void ResetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    /// <summary>Another process's resident memory now, in bytes.</summary>
    public static long ResidentOf(string process) => Read(process, "VmRSS:");

    /// <summary>The most resident memory that another process has had, in bytes.</summary>
    public static long PeakOf(string process) => Read(process, "VmHWM:");

    private static long Read(string process, string name)
    {
        var line = File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
        var kibibytes = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2].Split('\t')[^1];
        return long.Parse(kibibytes, CultureInfo.InvariantCulture) * 1024;
    }
}
