using System.IO.Compression;
using System.Text.Json;
using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>A study's report as a file, opened from the disk where there is no network, and printed; and its commands, followed.</summary>
public sealed class ReportTests : PageFixture
{
    [Test]
    public async Task Report_SavedToDisk_OpensWithoutANetwork_Prints_AndItsCommandTrainsTheSame()
    {
        using var folder = new TemporaryFolder();
        var model = await Stack.CreateModelAsync("Reported <digits>");
        await Stack.UploadAsync(model, DrawnDigits.Zip(30));
        var study = (await Stack.PostAsync($"/api/models/{model}/experiments", new
        {
            name = "Which rate, how deep? <b>",
            replicates = 2,
            space = new { learningRate = new[] { 0.0001, 0.001, 0.01 }, layers = new[] { 1, 2 }, steps = new[] { 100, 200 } },
            @fixed = new { filters = 4, denseUnits = 16, batchSize = 32 },
        })).GetProperty("id").GetString();
        await Stack.WhenAllCompletedAsync(model, TimeSpan.FromMinutes(3));
        var path = Path.Combine(folder.Path, "report.html");
        await File.WriteAllBytesAsync(path, await Stack.Http.GetByteArrayAsync($"/api/studies/{study}/report?download=true"));

        await Page.Context.SetOfflineAsync(true);
        var requests = new List<string>();
        Page.Request += (_, request) => requests.Add(request.Url);
        await Page.GotoAsync($"file://{path}");

        await Assertions.Expect(Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToHaveTextAsync("Which rate, how deep? <b>");
        await Assertions.Expect(Page.Locator("figure")).ToHaveCountAsync(5);
        Assert.That(await Page.EvaluateAsync<string>("getComputedStyle(document.querySelector('.facts')).display"), Is.EqualTo("grid"), "its style counts");
        Assert.That(requests.Where(url => !url.StartsWith("data:", StringComparison.Ordinal)), Is.EqualTo(new[] { $"file://{path}" }));
        await Screenshots.TakeAllAsync(Page, "report");
        await Accessibility.CheckAsync(Page, "report");

        await Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark, Media = Media.Print });
        Assert.That(await Page.EvaluateAsync<string>("getComputedStyle(document.body).backgroundColor"), Is.EqualTo("rgb(255, 255, 255)"), "paper is light");
        await Page.SetViewportSizeAsync(696, 1000);
        await Screenshots.TakeAsync(Page, "report-print");
        var pdf = await Page.PdfAsync(new() { PreferCSSPageSize = true, Path = Screenshots.PathOf("report.pdf") });
        Assert.That(System.Text.Encoding.ASCII.GetString(pdf, 0, 5), Is.EqualTo("%PDF-"));

        var data = await Stack.GetAsync($"/api/studies/{study}/report?format=json");
        Assert.That(await TrainAsync(data, folder.Path), Does.Contain(FormattableString.Invariant($"accuracy: {data.GetProperty("best").GetProperty("accuracy").GetDouble():F4}")));
    }

    [Test]
    public async Task Report_Served_ShowsItsStyle_UnderItsPolicy()
    {
        var model = await Stack.CreateModelAsync("Served digits");
        await Stack.UploadAsync(model, DrawnDigits.Zip(10));
        var study = (await Stack.PostAsync($"/api/models/{model}/experiments", new { start = false })).GetProperty("id").GetString();

        await Page.GotoAsync($"/api/studies/{study}/report");

        await Page.GetByText("No experiment is completed yet").WaitForAsync();
        Assert.That(await Page.EvaluateAsync<string>("getComputedStyle(document.querySelector('.facts')).display"), Is.EqualTo("grid"));
        await Screenshots.TakeAllAsync(Page, "report-empty");
        await Accessibility.CheckAsync(Page, "report without results");
    }

    /// <summary>Follows the report's command, on the same images as files; what it prints.</summary>
    private static async Task<string> TrainAsync(JsonElement report, string folder)
    {
        var images = Path.Combine(folder, "images");
        await using (var zip = DrawnDigits.Zip(30))
            await ZipFile.ExtractToDirectoryAsync(zip, images);
        var words = report.GetProperty("commands").GetProperty("train").GetString()!.Replace("DIR", images, StringComparison.Ordinal).Split(" -- ")[1].Split(' ');
        await using var training = ServiceProcess.Start("Training", new Dictionary<string, string?>(), [.. words, "--output", Path.Combine(folder, "trained")]);
        Assert.That(await training.WaitAsync(TimeSpan.FromMinutes(1)), Is.Zero, training.Output);
        return training.Output;
    }
}
