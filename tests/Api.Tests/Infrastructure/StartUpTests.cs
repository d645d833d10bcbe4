using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MlExperiments.Api.Tests.Infrastructure;

/// <summary>The program itself, with settings that can't work, and told to stop while it starts.</summary>
public sealed class StartUpTests : ApiFixture
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly string Blobs = Path.Combine(Path.GetTempPath(), $"mlexperiments-start-{Environment.ProcessId}");

    [TestCase("URLS", "foo", "Invalid url")]
    [TestCase("URLS", "http://127.0.0.1:99999", "port")]
    [TestCase("URLS", "http://127.0.0.1:TAKEN", "already in use")]
    [TestCase("URLS", "http://0.0.0.0:0", "no API key")]
    [TestCase("Kestrel__Endpoints__Own__Port", "1", "'Url'")]
    [TestCase("Security__ApiKey", "short", "too short")]
    [TestCase("Security__ApiKey", "                    ", "blanks")]
    [TestCase("ConnectionStrings__Database", "", "no database to connect to")]
    [TestCase("ConnectionStrings__Database", "nonsense", "no connection string")]
    [TestCase("ConnectionStrings__Database", "Host=127.0.0.1;Port=1", "can't be reached")]
    [TestCase("Upload__MaxEntries", "many", "Upload__MaxEntries")]
    [TestCase("Upload__MaxEntries", "0", "Upload__MaxEntries")]
    [TestCase("Live__HeartbeatEvery", "0", "Live__HeartbeatEvery")]
    [TestCase("Blobs__Folder", "/proc/blobs", "The folder for blobs")]
    [TestCase("Logging__LogLevel__Default", "Loud", "Loud")]
    [Parallelizable]
    public async Task Start_WithASettingThatCannotWork_SaysSoInOneLine(string setting, string value, string words)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var start = new ProcessStartInfo("dotnet", [typeof(Program).Assembly.Location]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["URLS"] = "http://127.0.0.1:0";
        start.Environment["ConnectionStrings__Database"] = Database.ConnectionString;
        start.Environment["Blobs__Folder"] = Blobs;
        start.Environment[setting] = value.Replace("TAKEN", $"{((IPEndPoint)taken.LocalEndpoint).Port}", StringComparison.Ordinal);
        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(Patience);
        try
        {
            var error = process.StandardError.ReadToEndAsync(deadline.Token);
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            Assert.That(process.ExitCode, Is.EqualTo(1), await error);
            Assert.That((await error).Trim(), Does.StartWith("error: ").And.Contain(words).And.Not.Contain("\n"));
            Assert.That(await output, Is.Empty);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    [Test]
    public async Task Stop_WhileItStarts_EndsItQuietly()
    {
        using var stop = new StopOnceBuilt();
        string[] arguments = ["--urls=http://127.0.0.1:0", $"--ConnectionStrings:Database={Database.ConnectionString}", $"--Blobs:Folder={Blobs}"];

        var exitCode = await Task.Run(() => typeof(Program).Assembly.EntryPoint!.Invoke(null, [arguments])).WaitAsync(Patience);

        Assert.That(stop.HasStopped);
        Assert.That(exitCode, Is.Zero);
    }

    [OneTimeTearDown]
    public void RemoveBlobs()
    {
        if (Directory.Exists(Blobs))
            Directory.Delete(Blobs, recursive: true);
    }

    /// <summary>Tells the host that is built in its flow of control to stop, after it was built and before it starts.</summary>
    private sealed class StopOnceBuilt : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>, IDisposable
    {
        private readonly AsyncLocal<bool> _isOurs = new() { Value = true };
        private readonly List<IDisposable> _subscriptions = [];

        public StopOnceBuilt() => _subscriptions.Add(DiagnosticListener.AllListeners.Subscribe(this));

        public bool HasStopped { get; private set; }

        public void OnNext(DiagnosticListener value)
        {
            if (_isOurs.Value && value.Name == "Microsoft.Extensions.Hosting")
                _subscriptions.Add(value.Subscribe(this));
        }

        public void OnNext(KeyValuePair<string, object?> value)
        {
            if (!_isOurs.Value || value is not { Key: "HostBuilt", Value: IHost host })
                return;
            host.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
            HasStopped = true;
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }

        public void Dispose() => _subscriptions.ForEach(subscription => subscription.Dispose());
    }
}
