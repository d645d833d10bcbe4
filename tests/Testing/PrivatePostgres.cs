using System.Diagnostics;
using Npgsql;

namespace MlExperiments.Testing;

/// <summary>A PostgreSQL server of the test's own, which may be killed: with fsync on, on a free port, below a folder that goes with it.</summary>
public sealed class PrivatePostgres : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly DirectoryInfo _folder;
    private readonly string _programs;
    private readonly int _port = Ports.Free();
    private Process? _server;

    private PrivatePostgres(DirectoryInfo folder, string programs)
    {
        _folder = folder;
        _programs = programs;
    }

    public string ConnectionString => $"Host=127.0.0.1;Port={_port};Username=postgres;Database=postgres";

    /// <param name="folder">Where its data are, and nothing else; a temporary one where null.</param>
    public static async Task<PrivatePostgres> StartAsync(string? folder = null)
    {
        var programs = Directory.EnumerateDirectories("/usr/lib/postgresql").OrderByDescending(version => int.Parse(Path.GetFileName(version), null)).First();
        var postgres = new PrivatePostgres(
            folder is null ? Directory.CreateTempSubdirectory("mlexperiments-postgres-") : Directory.CreateDirectory(folder), Path.Combine(programs, "bin"));
        if (Environment.IsPrivilegedProcess)
            await RunAsync(new ProcessStartInfo("chown", ["postgres:", postgres._folder.FullName]));
        // The files need not survive a power cut before the first start.
        await RunAsync(postgres.AsServer(
            "initdb", "-D", postgres.Data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"));
        await postgres.LaunchAsync();
        return postgres;
    }

    /// <summary>Kills the postmaster like the system would that runs out of memory; its other processes find out and end.</summary>
    public async Task KillAsync()
    {
        _server!.Kill();
        await _server.WaitForExitAsync();
    }

    /// <summary>Starts it (again) and waits until it answers.</summary>
    public async Task LaunchAsync()
    {
        await Eventually.IsTrueAsync("PostgreSQL to start", Patience, async () =>
        {
            // It refuses to start while processes of the one that was killed still run.
            if (_server is null or { HasExited: true })
                _server = Launch();
            return await IsAnsweringAsync();
        });
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        var lockFile = Path.Combine(Data, "postmaster.pid");
        if (File.Exists(lockFile))
            File.Delete(lockFile);
        // The others of its processes may still write.
        await Eventually.IsTrueAsync("PostgreSQL's files to go", Patience, () => Task.FromResult(TryDelete()));
    }

    private string Data => Path.Combine(_folder.FullName, "data");

    private Process Launch()
    {
        var program = AsServer(
            "postgres", "-D", Data, "-p", $"{_port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
            "-c", "shared_buffers=32MB", "-c", "min_wal_size=32MB", "-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "logging_collector=on", "-c", "log_min_messages=warning");
        // It says more in its log, below its data.
        program.RedirectStandardOutput = program.RedirectStandardError = true;
        return Process.Start(program)!;
    }

    private async Task<bool> IsAnsweringAsync()
    {
        try
        {
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ConnectionString) { Pooling = false, Timeout = 5 }.ConnectionString);
            await connection.OpenAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    /// <summary>It refuses to run as root.</summary>
    private ProcessStartInfo AsServer(string program, params string[] arguments)
    {
        string[] command = [Path.Combine(_programs, program), .. arguments];
        return Environment.IsPrivilegedProcess
            ? new ProcessStartInfo("setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", "--", .. command]) { WorkingDirectory = "/" }
            : new ProcessStartInfo(command[0], command[1..]) { WorkingDirectory = "/" };
    }

    private bool TryDelete()
    {
        try
        {
            _folder.Delete(recursive: true);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task RunAsync(ProcessStartInfo program)
    {
        program.RedirectStandardOutput = program.RedirectStandardError = true;
        using var process = Process.Start(program)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program.FileName} failed: {await output} {await errors}");
    }
}
