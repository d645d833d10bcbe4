using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>One browser and one running product for all pages.</summary>
[SetUpFixture]
public sealed class Browsers
{
    private const string WithoutVariable = "MLEXPERIMENTS_WITHOUT_NODE";
    private const string Chromium = "/usr/bin/chromium";

    private static IPlaywright _playwright = null!;

    internal static Stack Stack { get; private set; } = null!;

    internal static IBrowser Browser { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        if (Environment.GetEnvironmentVariable(WithoutVariable) is "1")
            Assert.Ignore($"{WithoutVariable} is set: without Node.js there is no page.");
        if (!File.Exists(Chromium))
            Assert.Fail($"{Chromium} is missing: run tests/run.sh, or install Debian's chromium; {WithoutVariable}=1 leaves out what needs it.");
        Stack = await Stack.StartAsync();
        _playwright = await Playwright.CreateAsync();
        Browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium, Args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (Browser is not null)
            await Browser.DisposeAsync();
        _playwright?.Dispose();
        if (Stack is not null)
            await Stack.DisposeAsync();
    }
}
