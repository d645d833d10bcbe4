using System.Diagnostics;
using System.Text.Json;

namespace MlExperiments.Training.Tests.PyTorch;

/// <summary>The distribution's Python, which its packages python3-torch and python3-torchvision belong to.</summary>
internal static class Python
{
    private const string Program = "/usr/bin/python3";

    private static readonly Lazy<bool> HasTorch = new(() => File.Exists(Program) && Run("-c", "import torch, torchvision").Code == 0);

    /// <summary>Leaves the test out where there is no PyTorch to compare with.</summary>
    public static void RequireTorch()
    {
        if (!HasTorch.Value) Assert.Ignore("This compares with PyTorch, which isn't here: apt-get install python3-torch python3-torchvision");
    }

    /// <returns>What the script printed.</returns>
    public static string RunScript(string path, params string[] arguments)
    {
        var (code, output, errors) = Run([path, .. arguments]);
        Assert.That(code, Is.Zero, errors);
        return output;
    }

    /// <summary>Runs a script that asks the test: a line of JSON on standard error, answered by a line on standard input.</summary>
    /// <param name="modules">The folder of modules that it imports.</param>
    /// <returns>What the script printed.</returns>
    public static string RunScript(string path, string[] arguments, string modules, Func<JsonElement, object> answer)
    {
        using var process = Start([path, .. arguments], modules);
        var output = process.StandardOutput.ReadToEndAsync();
        List<string> errors = [];
        while (process.StandardError.ReadLine() is { } line)
        {
            if (line.StartsWith('{'))
                process.StandardInput.WriteLine(JsonSerializer.Serialize(answer(JsonSerializer.Deserialize<JsonElement>(line))));
            else
                errors.Add(line);
        }

        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, string.Join('\n', errors));
        return output.GetAwaiter().GetResult();
    }

    private static (int Code, string Output, string Errors) Run(params string[] arguments)
    {
        using var process = Start(arguments);
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.GetAwaiter().GetResult());
    }

    private static Process Start(IEnumerable<string> arguments, string? modules = null)
    {
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["PYTHONPATH"] = modules;
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        var process = Process.Start(start)!;
        process.StandardInput.AutoFlush = true;
        return process;
    }
}
