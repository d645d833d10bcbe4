using System.IO.Compression;
using System.Text.Json;
using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>A completed experiment's results by class.</summary>
public sealed class ClassesTests : PageFixture
{
    [Test]
    public async Task Classes_OfACompletedExperiment_AreShownSortedAndSwitched_AndRemovedImagesSaid()
    {
        var model = await Stack.CreateModelAsync("Classified digits");
        using var zip = Zip();
        await Stack.UploadAsync(model, zip);
        var experiment = await CompletedAsync(model);
        var classes = await Stack.GetAsync($"/api/experiments/{experiment}/classes");
        var worst = classes.GetProperty("validation").GetProperty("worst");
        Assert.That(worst.GetArrayLength(), Is.GreaterThan(2), "so few steps leave some wrong");

        await Page.GotoAsync($"/experiments/{experiment}");
        var matrix = Page.GetByRole(AriaRole.Region, new() { Name = "Confusion matrix" });
        await Assertions.Expect(matrix.Locator("tbody td")).ToHaveCountAsync(100);
        await Assertions.Expect(matrix.Locator("tbody td").First).ToContainTextAsync($"{classes.GetProperty("validation").GetProperty("matrix")[0][0]}");
        await Assertions.Expect(Page.GetByText("60 validation images", new() { Exact = false })).ToBeVisibleAsync();
        await Assertions.Expect(Worst.Locator("img")).ToHaveCountAsync(worst.GetArrayLength());
        await Worst.Locator("img").First.ScrollIntoViewIfNeededAsync();
        Assert.That(await Worst.Locator("img").First.EvaluateAsync<bool>("image => image.decode().then(() => image.naturalWidth > 0)"), Is.True);

        await Assertions.Expect(Page.GetByText("this experiment has 40 steps in all")).ToBeVisibleAsync();
        await Assertions.Expect(Page.Locator(".chart")).ToHaveCountAsync(0);

        await Button("F1").ClickAsync();
        await Button("F1").ClickAsync();
        var shown = await Metrics.Locator("tbody tr td:last-child").AllInnerTextsAsync();
        var f1 = shown.Select(text => double.Parse(text.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture)).ToList();
        Assert.That(f1, Has.Count.EqualTo(10).And.Ordered.Descending);
        Assert.That(await Metrics.Locator("th[aria-sort]").GetAttributeAsync("aria-sort"), Is.EqualTo("descending"));
        await Page.EvaluateAsync("window.scrollTo(0, 0)");
        await Screenshots.TakeAllAsync(Page, "experiment-classes");
        await Accessibility.CheckAsync(Page, "experiment by class");

        await Button("test").ClickAsync();
        await Page.GetByText("30 test images", new() { Exact = false }).WaitForAsync();
        await Stack.Http.DeleteAsync($"/api/images/{worst[0].GetProperty("imageId").GetGuid()}");
        await Page.ReloadAsync();
        await Worst.GetByText("removed", new() { Exact = true }).WaitForAsync();
        await Assertions.Expect(Worst.Locator("img")).ToHaveCountAsync(worst.GetArrayLength() - 1);
    }

    [Test]
    public async Task Classes_ThatWereNotKept_AreSaidInWords_AndManyAreShownAsPairs()
    {
        var model = await Stack.CreateModelAsync("Digits of before");
        using var zip = Zip();
        await Stack.UploadAsync(model, zip);
        var experiment = await CompletedAsync(model);
        await Page.RouteAsync($"**/api/experiments/{experiment}/classes", route => route.FulfillAsync(new()
        {
            Status = 404,
            ContentType = "application/problem+json",
            Body = """{"title": "Not Found", "status": 404, "detail": "The experiment has no results by class."}""",
        }));
        await Page.GotoAsync($"/experiments/{experiment}");
        await ExpectAsync("The experiment has no results by class.");

        var matrix = JsonSerializer.Serialize(Enumerable.Range(0, 50).Select(label => Enumerable.Range(0, 50).Select(predicted => label == predicted ? 9 : label + 1 == predicted ? 1 : 0)));
        await ShowAsync(experiment, 50, matrix);
        await Assertions.Expect(Page.GetByRole(AriaRole.Region, new() { Name = "Confusion matrix" }).Locator("tbody td")).ToHaveCountAsync(2500);
        await Screenshots.TakeAllAsync(Page, "experiment-fifty-classes");

        await ShowAsync(experiment, 120, "null");
        var pairs = Page.GetByRole(AriaRole.Region, new() { Name = "The most confused classes" });
        await Assertions.Expect(pairs.Locator("tbody tr")).ToHaveCountAsync(1);
        await Assertions.Expect(Metrics.Locator("tbody tr")).ToHaveCountAsync(100);
        await Button("Show all 120").ClickAsync();
        await Assertions.Expect(Metrics.Locator("tbody tr")).ToHaveCountAsync(120);
        await Page.EvaluateAsync("window.scrollTo(0, 0)");
        await Screenshots.TakeAllAsync(Page, "experiment-many-classes");
        await Accessibility.CheckAsync(Page, "experiment of many classes");
    }

    private async Task ShowAsync(string experiment, int count, string matrix)
    {
        var classes = Enumerable.Range(0, count).Select(c => new { label = $"class number {c}", support = 10, predicted = 10, right = 9, precision = 0.9, recall = 0.9, f1 = 0.9 });
        await Page.UnrouteAllAsync();
        await Page.RouteAsync($"**/api/experiments/{experiment}/classes", route => route.FulfillAsync(new()
        {
            ContentType = "application/json",
            Body = $$"""
                {"experimentId": "{{experiment}}", "test": null, "validation": {
                    "images": {{count * 10}}, "accuracy": 0.9, "macro": {"precision": 0.9, "recall": 0.9, "f1": 0.9}, "classes": {{JsonSerializer.Serialize(classes)}},
                    "matrix": {{matrix}}, "confusions": [{"label": "class number 7", "predicted": "class number 8", "images": 1}], "worst": [] }
                }
                """,
        }));
        await Page.ReloadAsync();
    }

    private ILocator Metrics => Page.GetByRole(AriaRole.Region, new() { Name = "Precision, recall and F1 by class" });

    private ILocator Worst => Page.Locator("ul.worst");

    private static async Task<string> CompletedAsync(string model)
    {
        await Stack.PostAsync(
            $"/api/models/{model}/experiments",
            new { space = new { steps = new[] { 40 } }, @fixed = new { learningRate = 0.003, layers = 1, filters = 2, denseUnits = 8, batchSize = 16 } });
        var experiments = await Stack.WhenAllCompletedAsync(model, TimeSpan.FromMinutes(2));
        return experiments[0].GetProperty("id").GetString()!;
    }

    /// <summary>20 images of each digit to train on, 6 to validate, 3 to test.</summary>
    private static MemoryStream Zip()
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (digit, variant, png) in DrawnDigits.Images(29))
            {
                var split = variant < 20 ? "train" : variant < 26 ? "validation" : "test";
                using var entry = archive.CreateEntry($"{split}/{digit}/{variant}.png", CompressionLevel.NoCompression).Open();
                entry.Write(png);
            }
        }

        stream.Position = 0;
        return stream;
    }
}
