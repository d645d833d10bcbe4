using System.Text.RegularExpressions;
using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

public sealed partial class WorkersTests : PageFixture
{
    [Test]
    public async Task Workers_WhileOneTrains_SayWhatItDoes_AndWhatWaits()
    {
        var model = await Stack.CreateModelAsync("Queued digits");
        await Stack.UploadAsync(model, DrawnDigits.Zip(30));
        var study = await Stack.PostAsync($"/api/models/{model}/experiments", new { space = new { learningRate = new[] { 0.001, 0.002, 0.003 }, layers = new[] { 4 }, steps = new[] { 50_000 } } });

        try
        {
            await LookAsync();
        }
        finally
        {
            await Stack.PostAsync($"/api/studies/{study.GetProperty("id")}/cancel");
        }

        await Page.GetByText("Nothing waits.").WaitForAsync();
    }

    private async Task LookAsync()
    {
        await Page.GotoAsync("/workers");
        var workers = Page.GetByRole(AriaRole.Region, new() { Name = "Workers" });
        await workers.GetByText("2 of 2").WaitForAsync();
        await workers.GetByText(Steps()).First.WaitForAsync();
        await Assertions.Expect(workers.GetByText(Megabytes()).First).ToBeVisibleAsync();
        await Assertions.Expect(Page.GetByRole(AriaRole.Region, new() { Name = "Queue" }).GetByRole(AriaRole.Row).Filter(new() { HasText = "Queued digits" })).ToContainTextAsync("a free slot");
        await Screenshots.TakeAllAsync(Page, "workers");
        await Accessibility.CheckAsync(Page, "workers");
    }

    [GeneratedRegex("Queued digits, [0-9,]+ of 50,000")]
    private static partial Regex Steps();

    [GeneratedRegex("^[0-9.]+ MB$")]
    private static partial Regex Megabytes();
}
