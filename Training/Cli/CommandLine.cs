using System.CommandLine;
using System.Runtime.InteropServices;

namespace MlExperiments.Training.Cli;

/// <summary>The commands of the executable: <c>train</c>, <c>test</c> and <c>digits</c> for people, <c>serve</c> for workers.</summary>
internal static class CommandLine
{
    /// <summary>The shell's code for a process that Ctrl-C ended.</summary>
    public const int Interrupted = 130;

    /// <returns>The process's exit code: 0 when it did what it was asked for.</returns>
    public static int Run(string[] args)
    {
        var root = new RootCommand("Trains image classifiers, and classifies images with what was trained.")
        {
            TrainVerb.Create(),
            TestVerb.Create(),
            ServeVerb.Create(),
            DigitsVerb.Create(),
        };
        return root.Parse(args).Invoke(new() { EnableDefaultExceptionHandler = false });
    }

    /// <summary>Runs a command's body; what a user can cause or mend becomes one line on standard error.</summary>
    public static int Guarded(Func<int> body)
    {
        try
        {
            return body();
        }
        catch (Exception error) when (Words(error) is { } words)
        {
            Console.Error.WriteLine($"error: {words}");
        }

        return 1;
    }

    // Parallel loops and type initializers wrap what happened; null where it's nothing that a user can mend.
    private static string? Words(Exception error) => error switch
    {
        InvalidDataException or IOException or UnauthorizedAccessException or ExternalException => error.Message,
        DllNotFoundException => $"A native library can't be loaded: {error.Message.Trim().Split('\n')[^1]}",
        _ => error.InnerException is { } inner ? Words(inner) : null,
    };
}
