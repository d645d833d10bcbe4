using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>From a study of one's own to one of its experiments, which is adjusted, paused and resumed while it trains.</summary>
public sealed class StudyTests : PageFixture
{
    private ILocator Rows => Page.Locator("tbody.rows tr");

    [Test]
    public async Task Study_OfOnesOwn_SaysWhatItComesTo_AndIsGenerated()
    {
        var model = await NewModelAsync("Studied digits");
        await Page.GotoAsync($"/models/{model}");
        await Link("New study").ClickAsync();
        await Page.GetByText("27 new experiments in 9 trainings").WaitForAsync();

        await Page.GetByLabel("Learning rate: values").FillAsync("0.001, fast");
        await Page.GetByText("learningRate is a number.").WaitForAsync();
        await Page.GetByLabel("Learning rate: values").FillAsync("0.001 0.003");
        await Page.GetByLabel("Layers: values").FillAsync("1");
        await Page.GetByLabel("Steps: values").FillAsync("10, 20");
        await Page.GetByLabel("Seeds each").FillAsync("2");
        await Page.GetByLabel("Seeds each").BlurAsync();
        await Page.GetByText("8 new experiments in 4 trainings, 80 steps in all").WaitForAsync();
        await Assertions.Expect(Page.GetByText("Rotate images")).ToBeHiddenAsync();
        await Button("More: schedule, warm-up, augmentation, class weights, patience, precision").ClickAsync();
        await Page.GetByLabel("How Rotate images is chosen").ClickAsync();
        await Page.GetByRole(AriaRole.Option, new() { Name = "fixed" }).ClickAsync();
        await Page.GetByLabel("Rotate images: the value").FillAsync("270");
        await Page.GetByText("augmentRotate is 0 to 180.").WaitForAsync();
        await Page.GetByLabel("Rotate images: the value").FillAsync("10");
        await Page.GetByText("8 new experiments in 4 trainings, 80 steps in all").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "new-study");
        await Accessibility.CheckAsync(Page, "new study");
        await Button("Generate and start").ClickAsync();

        await Assertions.Expect(Rows).ToHaveCountAsync(8);
        await Assertions.Expect(Rows.Filter(new() { HasText = "completed" })).ToHaveCountAsync(8, new() { Timeout = 120_000 });
        await Page.GetByLabel("Filter experiments").FillAsync("learningRate < 0.002 and seed = 1");
        await Page.GetByLabel("Filter experiments").PressAsync("Enter");
        await Assertions.Expect(Rows).ToHaveCountAsync(2);
        await Page.ReloadAsync();
        await Assertions.Expect(Rows).ToHaveCountAsync(2);
        var download = await Page.RunAndWaitForDownloadAsync(() => Link("CSV").ClickAsync());
        Assert.That((await File.ReadAllLinesAsync(await download.PathAsync())).Length, Is.EqualTo(3));
        await Page.GetByLabel("Filter experiments").FillAsync("layers >");
        await Page.GetByLabel("Filter experiments").PressAsync("Enter");
        await Page.GetByText("The filter ends where a value for layers was expected.").WaitForAsync();
    }

    [Test]
    public async Task Experiment_WhileItTrains_ShowsItsCurves_AndIsAdjustedPausedAndResumed()
    {
        var model = await NewModelAsync("Watched digits");
        var study = await Stack.PostAsync(
            $"/api/models/{model}/experiments",
            new { space = new { steps = new[] { 6000 } }, @fixed = new { learningRate = 0.003, layers = 1, filters = 4, denseUnits = 16, batchSize = 64 } });
        var id = study.GetProperty("experiments")[0].GetProperty("id").GetString()!;
        await Page.GotoAsync($"/experiments/{id}");

        await Page.Locator("text=/steps\\/s/").First.WaitForAsync();
        await Page.Locator(".chart[aria-label*='Loss'][aria-label*='training 0.'], .chart[aria-label*='Loss'][aria-label*='training 1.']").WaitForAsync();
        await Page.GetByLabel("Another learning rate").FillAsync("0.0005");
        await Button("Adjust").ClickAsync();
        await Page.Locator("text=/learning rate from step/").WaitForAsync();
        await Button("Pause").ClickAsync();
        await Button("Resume").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "experiment");
        await Accessibility.CheckAsync(Page, "experiment");
        await Page.ReloadAsync();
        await Button("Resume").ClickAsync();
        await Link("Weights").WaitForAsync(new() { Timeout = 120_000 });
        var download = await Page.RunAndWaitForDownloadAsync(() => Link("ONNX").ClickAsync());
        Assert.That(download.SuggestedFilename, Does.Match(@"^experiment-\d+\.onnx$"));

        await Assertions.Expect(Page.GetByLabel("Another learning rate")).ToHaveCountAsync(0);
        Assert.That(await Page.GetByText("took it up at step").CountAsync(), Is.GreaterThanOrEqualTo(2), "its attempts");
    }

    private static async Task<string> NewModelAsync(string name)
    {
        var model = await Stack.CreateModelAsync(name);
        await Stack.UploadAsync(model, DrawnDigits.Zip(30));
        return model;
    }
}
