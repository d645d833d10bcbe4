using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>A model from its first image to its first prediction, as somebody does it who has nothing but the page.</summary>
public sealed class TourTests : PageFixture
{
    [Test]
    public async Task Model_FromUploadToPrediction_IsFollowedLive()
    {
        var model = await Stack.CreateModelAsync("Drawn digits");
        await Page.GotoAsync($"/models/{model}");
        await Page.GetByText("Images first").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "model-empty");

        using var zip = DrawnDigits.Zip(30);
        await Page.GetByLabel("Image files or zips").SetInputFilesAsync([
            new FilePayload { Name = "digits.zip", MimeType = "application/zip", Buffer = zip.ToArray() },
            new FilePayload { Name = "notes.zip", MimeType = "application/zip", Buffer = "no zip"u8.ToArray() },
        ]);
        await Page.GetByText("300 new images").WaitForAsync();
        await Page.GetByText("Why 1 file was refused").ClickAsync();
        await Page.GetByText("notes.zip").WaitForAsync();
        await Assertions.Expect(Page.Locator(".class")).ToHaveCountAsync(10);

        await Button("Run the default 27").ClickAsync();
        await ExpectAsync("27 experiments in 9 trainings.");
        await Rows.And(Page.Locator(":has-text('running')")).First.WaitForAsync();
        await Page.Locator("text=/\\d+ of [\\d,]+ · \\d+\\/s/").First.WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "model-running");

        await SelectAllAsync();
        await Button("Pause").ClickAsync();
        await Assertions.Expect(Rows.Filter(new() { HasText = "paused" })).ToHaveCountAsync(27);
        await ReopenAsync();
        await Assertions.Expect(Rows.Filter(new() { HasText = "paused" })).ToHaveCountAsync(27);
        await SelectAllAsync();
        await Button("Resume").ClickAsync();
        await Rows.Filter(new() { HasText = "running" }).First.WaitForAsync();
        await SelectAllAsync();
        await Button("Cancel").ClickAsync();
        await Button("Cancel them").ClickAsync();
        await Assertions.Expect(Rows.Filter(new() { HasText = "cancelled" })).ToHaveCountAsync(27);

        await Stack.PostAsync($"/api/models/{model}/experiments", new { space = new { learningRate = new[] { 0.001, 0.003 }, layers = new[] { 1 }, steps = new[] { 60 } } });
        await Page.GetByRole(AriaRole.Button, new() { Name = "Accuracy" }).ClickAsync();
        await ExpectAddressAsync("sort=accuracy&order=desc");
        await Assertions.Expect(Rows.First).ToContainTextAsync("completed", new() { Timeout = 60_000 });
        await Assertions.Expect(Rows.Nth(1)).ToContainTextAsync("completed", new() { Timeout = 60_000 });
        await Page.GetByText("Copy as JSON").WaitForAsync();

        var canvas = (await Page.Locator("canvas").BoundingBoxAsync())!;
        await Page.Locator("canvas").ScrollIntoViewIfNeededAsync();
        canvas = (await Page.Locator("canvas").BoundingBoxAsync())!;
        await Page.Mouse.MoveAsync(canvas.X + (canvas.Width / 2), canvas.Y + 25);
        await Page.Mouse.DownAsync();
        await Page.Mouse.MoveAsync(canvas.X + (canvas.Width / 2), canvas.Y + canvas.Height - 25, new() { Steps = 8 });
        await Page.Mouse.UpAsync();
        await Button("Predict").ClickAsync();
        await Assertions.Expect(Page.Locator(".answer li")).ToHaveCountAsync(3);
        await Screenshots.TakeAllAsync(Page, "model");
        await Accessibility.CheckAsync(Page, "model");

        var report = await Page.RunAndWaitForPopupAsync(() => Page.GetByRole(AriaRole.Link, new() { Name = "Report of" }).First.ClickAsync());
        await report.GetByText("lr 0.001, layers 1, steps 60").First.WaitForAsync();
        await report.CloseAsync();

        await Rows.Nth(0).GetByRole(AriaRole.Checkbox).CheckAsync();
        await Rows.Nth(1).GetByRole(AriaRole.Checkbox).CheckAsync();
        await Button("Compare").ClickAsync();
        await ExpectAddressAsync("/compare?experiments=");
        await Page.GetByRole(AriaRole.Link, new() { Name = "lr 0.003, layers 1, steps 60" }).First.WaitForAsync();
    }

    [Test]
    public async Task Model_ThatIsNot_SaysSo()
    {
        await Page.GotoAsync($"/models/{Guid.NewGuid()}");
        await ExpectAsync("This model can't be shown");
        await Link("All models").WaitForAsync();
    }

    private ILocator Rows => Page.Locator("tbody.rows tr");

    private Task SelectAllAsync() => Page.GetByLabel("Select all that meet the filter").CheckAsync();
}
