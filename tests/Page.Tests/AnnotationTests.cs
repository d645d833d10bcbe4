using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>What people say of experiments, who predicts, and studies that come of studies.</summary>
public sealed class AnnotationTests : PageFixture
{
    [Test]
    public async Task Experiment_NamedTaggedAndNoted_PredictsOnceItIsChosen()
    {
        var (model, ids) = await TrainedAsync("Noted digits");
        await Page.GotoAsync($"/experiments/{ids[0]}");
        await Button("Edit name, tags and notes").ClickAsync();
        await Page.GetByLabel("Name", new() { Exact = true }).FillAsync("");
        await Button("Save").ClickAsync();
        await Page.GetByText("Give 1 to 200 characters").First.WaitForAsync();
        await Page.GetByLabel("Name", new() { Exact = true }).FillAsync("The first one");
        await Page.GetByLabel("Tags, with commas between them").FillAsync("baseline, to be shown");
        await Page.GetByLabel("Notes").FillAsync("Drawn by the project itself.\nGood enough.");
        await Button("Save").ClickAsync();
        await Page.GetByRole(AriaRole.Heading, new() { Name = "The first one" }).WaitForAsync();
        await ExpectAsync("baseline");
        await Page.GetByRole(AriaRole.Region, new() { Name = "Log" }).GetByText("took it up at step 0").WaitForAsync();
        await Button("Let it predict").ClickAsync();
        await Page.GetByText("It predicts for Noted digits from now on.").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "experiment-noted");
        await Accessibility.CheckAsync(Page, "experiment with notes");

        await Page.GotoAsync($"/models/{model}?filter={Uri.EscapeDataString("tags ~ shown")}");
        await Assertions.Expect(Page.Locator("tbody.rows tr")).ToHaveCountAsync(1);
        await Link("The chosen experiment").WaitForAsync();
        await Button("Follow the best again").ClickAsync();
        await Link("The best experiment").WaitForAsync();
    }

    [Test]
    public async Task Study_IsShownAlone_Cloned_AndGoneOnFrom()
    {
        var (model, _) = await TrainedAsync("Studied twice");
        await Page.GotoAsync($"/models/{model}");
        await Button("short").ClickAsync();
        await ExpectAddressAsync("study=");
        await Assertions.Expect(Page.Locator("tbody.rows tr")).ToHaveCountAsync(2);
        await Assertions.Expect(Link("Report of short")).ToHaveAttributeAsync("href", new System.Text.RegularExpressions.Regex("/api/studies/.*/report"));
        await Screenshots.TakeAllAsync(Page, "model-studies");
        await Accessibility.CheckAsync(Page, "model with studies");

        await ChooseAsync("Once more, with changes …");
        await Page.GetByText("From “short”").WaitForAsync();
        await Assertions.Expect(Page.GetByLabel("Learning rate: values")).ToHaveValueAsync("0.001, 0.003");
        await Page.GetByText("All 2 are there already").WaitForAsync();

        await Page.GotoAsync($"/models/{model}");
        await ChooseAsync("Go on from its best …");
        await Page.GetByText("What was best in “short” is fixed here").WaitForAsync();
        await Assertions.Expect(Page.GetByLabel("Layers: the value")).ToHaveValueAsync("1");
        await Page.GetByText("All 1 are there already").WaitForAsync();
    }

    private async Task ChooseAsync(string item)
    {
        await Button("More for short").ClickAsync();
        await Page.GetByRole(AriaRole.Menuitem, new() { Name = item }).ClickAsync();
    }

    private static async Task<(string Model, string[] Ids)> TrainedAsync(string name)
    {
        var model = await Stack.CreateModelAsync(name);
        await Stack.UploadAsync(model, DrawnDigits.Zip(30));
        var study = await Stack.PostAsync(
            $"/api/models/{model}/experiments",
            new { name = "short", space = new { learningRate = new[] { 0.001, 0.003 } }, @fixed = new { layers = 1, steps = 20, filters = 4, denseUnits = 16 } });
        await Stack.WhenAllCompletedAsync(model, TimeSpan.FromMinutes(2));
        return (model, [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetString()!)]);
    }
}
