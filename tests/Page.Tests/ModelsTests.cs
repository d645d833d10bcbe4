using Microsoft.Playwright;

namespace MlExperiments.Page.Tests;

public sealed class ModelsTests : PageFixture
{
    [Test]
    public async Task Models_CreatedRenamedArchivedDeleted_AreShownAtOnce()
    {
        await Page.GotoAsync("/");
        await Button("New model").ClickAsync();
        await Button("Create").ClickAsync();
        await ExpectAsync("A model has a name.");
        await Page.GetByLabel("Name", new() { Exact = true }).FillAsync("Letters");
        await Button("Create").ClickAsync();
        await ExpectAddressAsync("/models/");
        Assert.That(await Page.TitleAsync(), Does.Contain("ML Experiments"));

        await Link("Models").ClickAsync();
        await Link("Letters").WaitForAsync();
        await ExpectAsync("Live");
        await Screenshots.TakeAllAsync(Page, "models");
        await Accessibility.CheckAsync(Page, "models");

        await ChooseAsync("Letters", "Rename");
        await Page.GetByLabel("Name", new() { Exact = true }).FillAsync("Big letters");
        await Screenshots.TakeAsync(Page, "models-rename");
        await Page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = "Rename" }).ClickAsync();
        await Link("Big letters").WaitForAsync();

        await ChooseAsync("Big letters", "Archive");
        await Assertions.Expect(Link("Big letters")).ToHaveCountAsync(0);
        await Page.GotoAsync("/models?archived=true");
        await ChooseAsync("Big letters", "Delete …");
        await Page.GetByRole(AriaRole.Alertdialog).GetByText("There is no way back.").WaitForAsync();
        await Button("Delete").ClickAsync();
        await Assertions.Expect(Link("Big letters")).ToHaveCountAsync(0);
    }

    [Test]
    public async Task Models_NameThatIsTaken_IsSaidNextToTheName()
    {
        await Stack.CreateModelAsync("Taken");
        await Page.GotoAsync("/models");
        await Button("New model").ClickAsync();
        await Page.GetByLabel("Name", new() { Exact = true }).FillAsync("taken");
        await Page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(Page.Locator("#model-name-error")).ToContainTextAsync("choose another name");
    }

    private async Task ChooseAsync(string model, string item)
    {
        await Button($"More for {model}").ClickAsync();
        await Page.GetByRole(AriaRole.Menuitem, new() { Name = item }).ClickAsync();
    }
}
