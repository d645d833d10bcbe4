using System.Text.Json;
using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>axe-core's rules for people who don't see, or don't point.</summary>
internal static class Accessibility
{
    private static readonly string Script = Path.Combine(ServiceProcess.ProjectRoot, "Api", "ClientApp", "node_modules", "axe-core", "axe.min.js");

    public static async Task CheckAsync(IPage page, string name)
    {
        foreach (var scheme in new[] { ColorScheme.Light, ColorScheme.Dark })
        {
            await page.EmulateMediaAsync(new() { ColorScheme = scheme });
            // As the browser's own: the page's policy takes no scripts from elsewhere.
            await page.EvaluateAsync(await File.ReadAllTextAsync(Script));
            var found = await page.EvaluateAsync<JsonElement>(
                "axe.run().then(({ violations }) => violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')" +
                ".map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`))");
            Assert.That(found.EnumerateArray().Select(violation => violation.GetString()), Is.Empty, $"{name}, {scheme}");
        }

        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
    }
}
