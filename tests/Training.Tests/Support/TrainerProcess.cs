using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Tests.Support;

/// <summary>The real executable, spoken to through its standard streams.</summary>
internal sealed class TrainerProcess : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly Task<string> _errors;

    private TrainerProcess(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
    }

    private static string BuiltIn => typeof(Engine).Assembly.Location;

    public string Id => _process.Id.ToString(CultureInfo.InvariantCulture);

    /// <summary>A trainer that has said it is ready.</summary>
    public static async Task<TrainerProcess> ServeAsync(params (string Name, string Value)[] environment)
    {
        var trainer = new TrainerProcess(BuiltIn, ["serve"], environment);
        Assert.That(await trainer.NextAsync(), Is.TypeOf<ReadyEvent>());
        return trainer;
    }

    /// <summary>Runs a command to its end.</summary>
    public static Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => RunProgramAsync(BuiltIn, arguments);

    /// <summary>Runs a command of another copy of the program to its end.</summary>
    public static async Task<(int Code, string Output, string Errors)> RunProgramAsync(string program, params string[] arguments)
    {
        using var trainer = new TrainerProcess(program, arguments);
        trainer._process.StandardInput.Close();
        var output = await trainer._process.StandardOutput.ReadToEndAsync().WaitAsync(Deadline);
        return (await trainer.EndAsync(), output, await trainer._errors);
    }

    public void Send(TrainerCommand command) => SendLine(JsonSerializer.Serialize(command, ContractJson.Options));

    public void SendLine(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
    }

    /// <summary>The next event; every line of standard output must be one.</summary>
    public async Task<TrainerEvent> NextAsync()
    {
        var line = await _process.StandardOutput.ReadLineAsync().WaitAsync(Deadline);
        Assert.That(line, Is.Not.Null, "the trainer's output ended");
        return JsonSerializer.Deserialize<TrainerEvent>(line!, ContractJson.Options)!;
    }

    /// <summary>Reads on until an event of this type, and fails on a failure that isn't asked for.</summary>
    public async Task<T> UntilAsync<T>(List<TrainerEvent>? seen = null) where T : TrainerEvent
    {
        while (true)
        {
            var happened = await NextAsync();
            seen?.Add(happened);
            if (happened is T wanted) return wanted;
            Assert.That(happened, Is.Not.InstanceOf<FailedEvent>());
        }
    }

    public void Kill() => _process.Kill();

    /// <param name="name">For example INT.</param>
    public async Task SignalAsync(string name)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -{name} {_process.Id}"]);
        await kill.WaitForExitAsync().WaitAsync(Deadline);
        Assert.That(kill.ExitCode, Is.Zero);
    }

    public void CloseInput() => _process.StandardInput.Close();

    public async Task<string?> ReadLineAsync() => await _process.StandardOutput.ReadLineAsync().WaitAsync(Deadline);

    /// <returns>The exit code.</returns>
    public async Task<int> EndAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(Deadline);
        return _process.ExitCode;
    }

    public async Task<string> ErrorsAsync() => await _errors.WaitAsync(Deadline);

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }
}
