using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace MlExperiments.Api.Tests.Infrastructure;

/// <summary>The program itself, with settings that can't work.</summary>
public sealed class StartUpTests : ApiFixture
{
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
        start.Environment["Blobs__Folder"] = Path.Combine(Path.GetTempPath(), $"mlexperiments-start-{Environment.ProcessId}");
        start.Environment[setting] = value.Replace("TAKEN", $"{((IPEndPoint)taken.LocalEndpoint).Port}", StringComparison.Ordinal);
        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
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

    [OneTimeTearDown]
    public void RemoveBlobs()
    {
        var folder = Path.Combine(Path.GetTempPath(), $"mlexperiments-start-{Environment.ProcessId}");
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }
}
