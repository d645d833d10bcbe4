using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>A service with an API key: the page asks for it once, and keeps nothing that a script could read.</summary>
public sealed class SignInTests : PageFixture
{
    private const string Key = "a-key-of-two-dozen-letters";

    [Test]
    public async Task Page_OfAServiceWithAKey_AsksForItOnce()
    {
        await using var stack = await Stack.StartAsync(settings: ("Security__ApiKey", Key));
        await Page.GotoAsync($"{stack.Http.BaseAddress}models");
        await Page.GetByRole(AriaRole.Dialog, new() { Name = "Sign in" }).WaitForAsync();
        await Page.GetByLabel("API key").FillAsync("not the key");
        await Button("Sign in").ClickAsync();
        await Page.GetByText("This is not the API key of this service.").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "sign-in");
        await Accessibility.CheckAsync(Page, "sign-in");

        await Page.GetByLabel("API key").FillAsync(Key);
        await Button("Sign in").ClickAsync();
        await ExpectAsync("Live");
        await Page.ReloadAsync();
        await ExpectAsync("Live");
        await Assertions.Expect(Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        Assert.That(await Page.EvaluateAsync<string>("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)"), Does.Not.Contain(Key).And.Not.Contain("session"));

        await Button("Sign out").ClickAsync();
        await Page.GetByRole(AriaRole.Dialog, new() { Name = "Sign in" }).WaitForAsync();
    }
}
