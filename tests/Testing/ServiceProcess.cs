using System.Collections.Concurrent;
using System.Diagnostics;

namespace MlExperiments.Testing;

/// <summary>A program of this solution as a process of its own: started, watched, asked to stop, or killed.</summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly Task _reading;

    private ServiceProcess(string name, Process process)
    {
        Name = name;
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    public string Name { get; }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Output => string.Join(Environment.NewLine, _output);

    /// <summary>Resident memory, in bytes.</summary>
    public long ResidentMemory
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <param name="project">Api, Worker or Training: its output of the configuration that the tests were built in.</param>
    public static ServiceProcess Start(string project, IReadOnlyDictionary<string, string?> environment, params string[] arguments) =>
        StartUnder([], project, environment, arguments);

    /// <param name="launcher">A program and its arguments that runs another one in its place, for example <c>prlimit --fsize=0</c>.</param>
    public static ServiceProcess StartUnder(
        IReadOnlyList<string> launcher, string project, IReadOnlyDictionary<string, string?> environment, params string[] arguments)
    {
        string[] command = [.. launcher, "dotnet", Assembly(project), .. arguments];
        return StartProgram(project, command[0], command[1..], environment);
    }

    /// <summary>Any other program that a test watches in the same way.</summary>
    /// <param name="name">For messages.</param>
    public static ServiceProcess StartProgram(
        string name, string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (variable, value) in environment ?? new Dictionary<string, string?>())
            start.Environment[variable] = value;
        return new ServiceProcess(name, Process.Start(start)!);
    }

    public static string Assembly(string project)
    {
        // .../tests/X.Tests/bin/<configuration>/net10.0/
        var output = new DirectoryInfo(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var path = Path.Combine(ProjectRoot, project, "bin", output.Parent!.Name, output.Name, $"MlExperiments.{project}.dll");
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is not built.");
    }

    public static string ProjectRoot
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "MlExperiments.sln")))
                folder = folder.Parent;
            return folder?.FullName ?? throw new DirectoryNotFoundException("The tests are not below the solution's folder.");
        }
    }

    /// <summary>SIGTERM, then waits for the end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync(TimeSpan within)
    {
        if (!_process.HasExited)
            Processes.Signal(_process.Id, Processes.Terminate);
        return await WaitAsync(within);
    }

    /// <summary>SIGKILL: no cleaning up.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <returns>The exit code, when all of the output is there.</returns>
    public async Task<int> WaitAsync(TimeSpan within)
    {
        using var timeout = new CancellationTokenSource(within);
        try
        {
            await _process.WaitForExitAsync(timeout.Token);
            await _reading.WaitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            throw new AssertionException($"{Name} did not exit within {within.TotalSeconds:0} s. Its output:\n{Output}");
        }

        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _reading;
        if (TestContext.CurrentContext.Result.Outcome.Status == NUnit.Framework.Interfaces.TestStatus.Failed)
            await TestContext.Out.WriteLineAsync($"--- {Name} ({Id})\n{Output}");
        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            _output.Enqueue(line);
            while (_output.Count > 2000)
                _output.TryDequeue(out _);
        }
    }
}
