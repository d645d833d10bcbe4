using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>deploy/local.sh itself, on the programs that were built for the tests, with a PostgreSQL of its own.</summary>
[TestFixture, NonParallelizable, SupportedOSPlatform("linux")]
public sealed class LocalScriptTests
{
    private const string Key = "0123456789abcdef-tests";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private string _folder = null!;
    private int _port;

    [OneTimeSetUp]
    public void MakeFolder()
    {
        // Others may pass: the database's user must, where this runs as root.
        _folder = Path.Combine(Path.GetTempPath(), $"mlexperiments-local-{Environment.ProcessId}");
        Directory.CreateDirectory(Path.Combine(_folder, "app"));
        foreach (var program in new[] { "Api", "Worker", "Training" })
            File.CreateSymbolicLink(Path.Combine(_folder, "app", program), Path.GetDirectoryName(ServiceProcess.Assembly(program))!);
        File.WriteAllText(Path.Combine(_folder, "app", "built-from"), "the tests' build");
    }

    [OneTimeTearDown]
    public void DeleteFolder()
    {
        var elsewhere = Path.Combine(_folder, "database", "elsewhere");
        if (File.Exists(elsewhere))
            Directory.Delete(Path.GetDirectoryName(File.ReadAllText(elsewhere).Trim())!, recursive: true);
        Directory.Delete(_folder, recursive: true);
    }

    [SetUp]
    public void ChoosePort() => _port = Ports.Free();

    [Test, Order(1)]
    public async Task Script_WithAnApiKey_ServesUntilItIsStopped()
    {
        await using var script = Start(("Security__ApiKey", Key));
        await WhenSaidAsync(script, "Running 1 worker");

        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{_port}") };
        using var refused = await http.GetAsync("/api/models");
        http.DefaultRequestHeaders.Add("X-Api-Key", Key);
        using var accepted = await http.GetAsync("/api/models");
        Assert.That((refused.StatusCode, accepted.StatusCode), Is.EqualTo((HttpStatusCode.Unauthorized, HttpStatusCode.OK)));

        await RefusesAsync("Already running on", Start());

        Processes.Signal(int.Parse(await File.ReadAllTextAsync(Path.Combine(_folder, "run", "worker-1.pid")), null), Processes.Kill);
        await WhenSaidAsync(script, "worker-1 ended: It was ended by signal 9. (log: ");
        await Eventually.IsTrueAsync("the worker to start again", Patience, () => Task.FromResult(File.Exists(Path.Combine(_folder, "run", "worker-1.pid"))));

        Assert.That(await script.StopAsync(Patience), Is.Zero, script.Output);
        AssertNothingRuns();
    }

    [Order(2)]
    [TestCase("Security__ApiKey", "short", "api can't start: The API key is too short: ", "api")]
    [TestCase("Kestrel__Endpoints__Own__Url", "http://127.0.0.1:0", "The Api does not listen on 127.0.0.1:", "api")]
    [TestCase("Worker__Lease", "00:00:03", "worker-1 can't start: The setting Worker__Lease is wrong: ", "worker-1")]
    [TestCase("Worker__TrainerCommand", "/nowhere/trainer", "worker-1 can't start: ", "worker-1")]
    public Task Script_WithASettingThatCannotWork_SaysWhyAndEnds(string setting, string value, string words, string log) =>
        RefusesAsync(words, Start((setting, value)), log);

    [Test, Order(2)]
    public async Task Script_WithATrainerThatLacksALibrary_NamesTheLibraryAndEnds()
    {
        // Beside the tests' programs, so that the 470 MB are linked.
        var trainer = Path.Combine(AppContext.BaseDirectory, $"broken-trainer-{Environment.ProcessId}");
        try
        {
            await using (var copy = ServiceProcess.StartProgram("cp", "cp", ["-rl", Path.GetDirectoryName(ServiceProcess.Assembly("Training"))!, trainer]))
                Assert.That(await copy.WaitAsync(Patience), Is.Zero, copy.Output);
            File.Delete(Path.Combine(trainer, "libc10.so"));

            await RefusesAsync(
                "worker-1 can't start: The trainer exited with code 1: libtorch can't be loaded: libc10.so: ",
                Start(
                    ("Worker__TrainerCommand", "dotnet"),
                    ("Worker__TrainerArguments__0", Path.Combine(trainer, "MlExperiments.Training.dll")),
                    ("Worker__TrainerArguments__1", "serve")),
                "worker-1");

            Assert.That(Directory.Exists(Path.Combine(trainer, "cpu")), Is.False, "TorchSharp copied all of the packages' libraries.");
        }
        finally
        {
            Directory.Delete(trainer, recursive: true);
        }
    }

    [Test, Order(2)]
    public async Task Script_WhosePortIsTaken_SaysSoAndEnds()
    {
        using var taken = new TcpListener(IPAddress.Loopback, _port);
        taken.Start();
        await RefusesAsync($"Port {_port} of 127.0.0.1 is taken", Start());
    }

    [Test, Order(2)]
    public async Task Script_WhoseBlobFolderIsAFile_SaysSoAndEnds()
    {
        await MakeDatabaseAsync();
        var blobs = Path.Combine(_folder, "blobs");
        Directory.Move(blobs, $"{blobs}-aside");
        await File.WriteAllTextAsync(blobs, "");
        try
        {
            await RefusesAsync($"{_folder} can't be used: ", Start());
        }
        finally
        {
            File.Delete(blobs);
            Directory.Move($"{blobs}-aside", blobs);
        }
    }

    [Test, Order(2)]
    public async Task Script_WhosePostgresCannotStart_SaysWhyAndEnds()
    {
        await MakeDatabaseAsync();
        File.SetUnixFileMode(Database, (UnixFileMode)0b111_101_101);
        try
        {
            await RefusesAsync($"PostgreSQL can't start in {Database}: data directory \"{Database}\" has invalid permissions", Start(), "postgres");
        }
        finally
        {
            File.SetUnixFileMode(Database, (UnixFileMode)0b111_000_000);
        }
    }

    [Test, Order(3)]
    public async Task Script_OnADatabaseOfANewerVersion_SaysSoAndEnds()
    {
        await using (var script = Start())
        {
            await WhenSaidAsync(script, "Running 1 worker");
            await using var database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder
            {
                Host = "127.0.0.1",
                Port = int.Parse(await File.ReadAllTextAsync(Path.Combine(_folder, "database", "port")), null),
                Username = "postgres",
                Password = await File.ReadAllTextAsync(Path.Combine(_folder, "database", "password")),
                Database = "mlexperiments",
                Pooling = false,
            });
            await using var insert = database.CreateCommand("""INSERT INTO "__EFMigrationsHistory" VALUES ('99990101000000_Future', '99.0')""");
            await insert.ExecuteNonQueryAsync();
            Assert.That(await script.StopAsync(Patience), Is.Zero, script.Output);
        }

        await RefusesAsync("can't start: The database is newer than this program", Start());
    }

    [Order(2)]
    [TestCase("--help", 0, "Usage: deploy/local.sh")]
    [TestCase("--colour", 2, "Unknown option '--colour'")]
    [TestCase("--port=0", 2, "--port takes a whole number")]
    [TestCase("--slots", 2, "--slots takes a value")]
    public async Task Script_WithAnOption_ExitsWithStatus(string option, int status, string words)
    {
        await using var script = ServiceProcess.StartProgram("local.sh", Script, [option]);
        Assert.That(await script.WaitAsync(Patience), Is.EqualTo(status));
        Assert.That(script.Output, Does.Contain(words));
    }

    private static string Script => Path.Combine(ServiceProcess.ProjectRoot, "deploy", "local.sh");

    private string Database =>
        Path.Combine(_folder, "database", "elsewhere") is var elsewhere && File.Exists(elsewhere)
            ? File.ReadAllText(elsewhere).Trim()
            : Path.Combine(_folder, "database", "data");

    private ServiceProcess Start(params (string Name, string Value)[] settings) => ServiceProcess.StartProgram(
        "local.sh",
        Script,
        ["--no-build", "--data", _folder, "--port", $"{_port}", "--slots", "1"],
        settings.ToDictionary(setting => setting.Name, setting => (string?)setting.Value));

    /// <summary>For a test that runs alone: otherwise the first one has made it.</summary>
    private async Task MakeDatabaseAsync()
    {
        if (Directory.Exists(Database))
            return;
        await using var script = Start();
        await WhenSaidAsync(script, "Running 1 worker");
        await script.StopAsync(Patience);
    }

    private static Task WhenSaidAsync(ServiceProcess script, string words) => Eventually.IsTrueAsync(
        $"the script to say \"{words}\"",
        Patience,
        () => script.HasExited
            ? throw new AssertionException($"The script ended:\n{script.Output}")
            : Task.FromResult(script.Output.Contains(words, StringComparison.Ordinal)));

    /// <param name="log">The name of the log that the message must name; none where null.</param>
    private async Task RefusesAsync(string words, ServiceProcess script, string? log = null)
    {
        await using (script)
        {
            Assert.That(await script.WaitAsync(Patience), Is.EqualTo(1), script.Output);
            var reason = script.Output.Split('\n').Where(line => line.Contains(words, StringComparison.Ordinal)).ToList();
            Assert.That(reason, Has.Count.EqualTo(1), script.Output);
            if (log is not null)
                Assert.That(reason[0], Does.EndWith($" (log: {_folder}/logs/{log}.log)"));
            // The announcement of the start, and the reason: no log, no stack trace.
            Assert.That(script.Output.Split('\n'), Has.Length.LessThanOrEqualTo(2), script.Output);
        }

        if (words != "Already running on")
            AssertNothingRuns();
    }

    private void AssertNothingRuns()
    {
        Assert.That(Directory.EnumerateFiles(Path.Combine(_folder, "run"), "*.pid"), Is.Empty);
        Assert.That(File.Exists(Path.Combine(Database, "postmaster.pid")), Is.False, "PostgreSQL runs.");
        Assert.That(Directory.EnumerateDirectories("/proc").Where(IsOurs), Is.Empty);
    }

    /// <summary>Whether the process carries the mark that the script gives to its services and that they hand on.</summary>
    private bool IsOurs(string process)
    {
        try
        {
            return int.TryParse(Path.GetFileName(process), out var id) && !Processes.HasEnded(id)
                && File.ReadAllText(Path.Combine(process, "environ")).Split('\0').Contains($"MLEXPERIMENTS_RUN={_folder}");
        }
        // Somebody else's, or it ended meanwhile.
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
