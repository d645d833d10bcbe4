using System.Globalization;
using System.Runtime.InteropServices;

namespace MlExperiments.Shared;

/// <summary>
/// Named moments at which a test has this process fail. <c>MLEXPERIMENTS_FAILPOINT=checkpoint.stored</c> kills it there as
/// <c>kill -9</c> would, <c>checkpoint.stored:3</c> when it comes there for the third time, and <c>trainer.step:60=hang</c> does
/// something else: see <see cref="Fail"/>. Without the variable there are none.
/// </summary>
public static partial class FailPoint
{
    public const string Variable = "MLEXPERIMENTS_FAILPOINT";

    private const int KillSignal = 9;

    private static readonly (string Name, int Count, string Action)? Planned = Parse(Environment.GetEnvironmentVariable(Variable));
    private static int _hits;

    public static void Hit(string name)
    {
        if (Planned is { } planned && planned.Name == name && Interlocked.Increment(ref _hits) == planned.Count)
        {
            Console.Error.WriteLine($"The fail point {name} is hit: {planned.Action}");
            Fail(planned.Action);
        }
    }

    private static (string, int, string)? Parse(string? plan)
    {
        if (string.IsNullOrEmpty(plan))
            return null;
        var (point, action) = plan.Split('=') is [var before, var after] ? (before, after) : (plan, "kill");
        return point.Split(':') is [var name, var count] ? (name, int.Parse(count, CultureInfo.InvariantCulture), action) : (point, 1, action);
    }

    private static void Fail(string action)
    {
        switch (action)
        {
            case "kill":
                _ = Kill(Environment.ProcessId, KillSignal);
                break;
            case "segfault":
                _ = StringLength(8);
                break;
            case "throw":
                throw new InvalidOperationException("A fail point was hit.");
            case "exhaust":
                for (List<byte[]> hoard = []; ;)
                    hoard.Add(GC.AllocateUninitializedArray<byte>(16 << 20));
            case "hang":
                while (true)
                    Thread.SpinWait(1000);
            default:
                throw new ArgumentException($"{Variable} names an action that there isn't: {action}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "strlen")]
    private static partial nint StringLength(nint address);
}
