using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>Pictures for people to look at, in a folder that git ignores.</summary>
internal static class Screenshots
{
    private static readonly string Folder = Path.Combine(ServiceProcess.ProjectRoot, "tests", "Page.Tests", "screenshots");

    public static string PathOf(string file) => Path.Combine(Folder, file);

    public static Task TakeAsync(IPage page, string name) => page.ScreenshotAsync(new() { Path = PathOf($"{name}.png"), FullPage = true });

    /// <summary>Light, dark, and 390 pixels wide, where nothing may stick out.</summary>
    public static async Task TakeAllAsync(IPage page, string name)
    {
        await TakeAsync(page, $"{name}-light");
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
        await TakeAsync(page, $"{name}-dark");
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
        var size = page.ViewportSize!;
        await page.SetViewportSizeAsync(390, 844);
        await TakeAsync(page, $"{name}-narrow");
        Assert.That(await page.EvaluateAsync<int>("document.documentElement.scrollWidth"), Is.LessThanOrEqualTo(390), $"{name}: wider than the window");
        await page.SetViewportSizeAsync(size.Width, size.Height);
    }
}
