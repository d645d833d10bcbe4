using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Training.Cli;

/// <summary>What the process needs of POSIX that .NET has no call for.</summary>
internal static partial class Posix
{
    private const int StandardOutput = 1;
    private const int StandardError = 2;

    /// <summary>
    /// Takes standard output for the caller alone: whatever else writes there from now on, native libraries included, goes to standard error.
    /// </summary>
    public static Stream TakeStandardOutput()
    {
        var own = Dup(StandardOutput);
        if (own < 0 || Dup2(StandardError, StandardOutput) < 0)
            throw new IOException($"Standard output can't be taken over: {Marshal.GetLastPInvokeErrorMessage()}");
        Console.SetOut(Console.Error);
        return new FileStream(new SafeFileHandle(own, ownsHandle: true), FileAccess.Write, bufferSize: 0);
    }

    [LibraryImport("libc", EntryPoint = "dup", SetLastError = true)]
    private static partial int Dup(int descriptor);

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    private static partial int Dup2(int from, int to);
}
