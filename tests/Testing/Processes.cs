using System.Globalization;
using System.Runtime.InteropServices;

namespace MlExperiments.Testing;

/// <summary>Processes by their number: their children, whether they run, and signals to them.</summary>
public static partial class Processes
{
    public const int Kill = 9;
    public const int Terminate = 15;
    public const int Continue = 18;
    public const int Stop = 19;

    /// <summary>Those that its threads have started; of threads that end meanwhile, none.</summary>
    public static List<int> ChildrenOf(int processId) =>
    [
        .. Directory.EnumerateDirectories($"/proc/{processId}/task").SelectMany(ChildrenOfThread).Select(id => int.Parse(id, CultureInfo.InvariantCulture)),
    ];

    /// <summary>True also for one that has ended and that its parent has not looked at yet.</summary>
    public static bool HasEnded(int processId)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{processId}/stat");
            return stat[stat.LastIndexOf(')') + 2] is 'Z' or 'X';
        }
        // No such process, or one that went while its file was read.
        catch (IOException)
        {
            return true;
        }
    }

    public static void Signal(int processId, int signal)
    {
        if (SendSignal(processId, signal) != 0)
            throw new InvalidOperationException($"Signal {signal} could not be sent to process {processId} (errno {Marshal.GetLastPInvokeError()}).");
    }

    private static string[] ChildrenOfThread(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (IOException)
        {
            return [];
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int processId, int signal);
}
