using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>What the walks through the service share: the service, and drawn digits.</summary>
[SetUpFixture]
public sealed class Walks
{
    private static TemporaryFolder _folder = null!;

    internal static Stack Stack { get; private set; } = null!;

    internal static Uri Api => Stack.Http.BaseAddress!;

    /// <summary>Holds <c>digits.zip</c>, and the same as the folder <c>digits</c>.</summary>
    internal static string Digits => _folder.Path;

    [OneTimeSetUp]
    public async Task OneTimeSetUp()
    {
        _folder = new TemporaryFolder();
        Stack = await Stack.StartAsync();
        await using var drawing = ServiceProcess.Start(
            "Training", new Dictionary<string, string?>(), "digits", "--count", "400", "--output", Path.Combine(Digits, "digits.zip"), Path.Combine(Digits, "digits"));
        Assert.That(await drawing.WaitAsync(TimeSpan.FromMinutes(1)), Is.Zero, drawing.Output);
    }

    [OneTimeTearDown]
    public async Task OneTimeTearDown()
    {
        if (Stack is not null)
            await Stack.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>A walk takes away what it has made.</summary>
    internal static async Task<int> CountModelsAsync() => (await Stack.GetAsync("/api/models?limit=500")).GetProperty("items").GetArrayLength();
}
