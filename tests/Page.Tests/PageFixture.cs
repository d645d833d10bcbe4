using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>A fresh browser window for each test. What the page writes to the console as an error, or throws, fails it.</summary>
public abstract partial class PageFixture
{
    private readonly ConcurrentQueue<string> _problems = new();
    private IBrowserContext _context = null!;

    protected IPage Page { get; private set; } = null!;

    protected static Stack Stack => Browsers.Stack;

    [SetUp]
    public async Task OpenAsync()
    {
        _problems.Clear();
        await OpenContextAsync();
    }

    private async Task OpenContextAsync()
    {
        _context = await Browsers.Browser.NewContextAsync(new()
        {
            BaseURL = Stack.Http.BaseAddress!.ToString(),
            ViewportSize = new() { Width = 1280, Height = 860 },
            ColorScheme = ColorScheme.Light,
            ReducedMotion = ReducedMotion.Reduce,
        });
        Page = await _context.NewPageAsync();
        Page.Console += (_, message) =>
        {
            // The browser itself tells of each answer that is no success; the page says it to the user.
            if (message.Type == "error" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
                _problems.Enqueue(message.Text);
        };
        Page.PageError += (_, error) => _problems.Enqueue(error);
        Page.SetDefaultTimeout(20_000);
    }

    /// <summary>Closes the browser's window with all that it knew, and opens a new one at the same address.</summary>
    protected async Task ReopenAsync()
    {
        var address = Page.Url;
        await _context.DisposeAsync();
        await OpenContextAsync();
        await Page.GotoAsync(address);
    }

    [TearDown]
    public async Task CloseAsync()
    {
        if (TestContext.CurrentContext.Result.Outcome.Status == NUnit.Framework.Interfaces.TestStatus.Failed)
            await Screenshots.TakeAsync(Page, $"failed-{TestContext.CurrentContext.Test.Name}");
        await _context.DisposeAsync();
        Assert.That(_problems, Is.Empty, "errors in the browser's console");
    }

    protected ILocator Button(string name) => Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    protected ILocator Link(string name) => Page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true });

    protected Task ExpectAsync(string text) => Assertions.Expect(Page.GetByText(text, new() { Exact = true }).First).ToBeVisibleAsync();

    /// <summary>Looks again and again: waiting for the navigation itself can miss one that is over at once.</summary>
    protected Task ExpectAddressAsync(string part) => Assertions.Expect(Page).ToHaveURLAsync(new Regex(Regex.Escape(part)), new() { Timeout = 20_000 });

    /// <summary>The id that the address names.</summary>
    protected string IdOfAddress() => Id().Match(Page.Url).Value;

    [GeneratedRegex("[0-9a-f]{8}-[0-9a-f-]{27}")]
    private static partial Regex Id();
}
