using System.Diagnostics;

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

    private static (int Code, string Output, string Errors) Run(params string[] arguments)
    {
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.GetAwaiter().GetResult());
    }
}
