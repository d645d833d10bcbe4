using System.Text;
using System.Text.Json;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests.Endpoints;

/// <summary>The table of all calls in the Api's README, between its two markers.</summary>
internal static class EndpointTable
{
    private const string Start = "<!-- endpoints -->";
    private const string End = "<!-- /endpoints -->";

    public static string ReadmePath { get; } = Path.Combine(ServiceProcess.ProjectRoot, "Api", "README.md");

    /// <param name="operations">Each call with its part of the OpenAPI document.</param>
    public static string Render(IEnumerable<(Call Call, JsonElement Operation)> operations)
    {
        var text = new StringBuilder();
        text.Append(CommonCases.Sentences).Append("\n\n| call | well made | refused |\n|---|---|---|\n");
        foreach (var (call, operation) in operations)
            text.Append($"| `{call.Operation}` | {string.Join("; ", call.Goods.Select(good => $"{good.Words} → {good.Status}"))} | {Refused(call, operation)} |\n");
        return text.ToString();
    }

    public static string Read(string readme) => readme[(readme.IndexOf(Start, StringComparison.Ordinal) + Start.Length + 1)..readme.IndexOf(End, StringComparison.Ordinal)];

    public static string Replace(string readme, string table) => readme.Replace(Start + "\n" + Read(readme), Start + "\n" + table, StringComparison.Ordinal);

    /// <summary>For example: <c>`name`: none, blank → 400; a name that is taken → 409; 404, 415</c>, the last ones for what all calls refuse.</summary>
    private static string Refused(Call call, JsonElement operation)
    {
        var own = call.Bads.GroupBy(bad => (bad.Status, bad.Fields))
            .Select(alike => $"{Names(alike.Key.Fields)}{string.Join(", ", alike.Select(bad => bad.Words))} → {alike.Key.Status}");
        var common = CommonCases.Of(call, operation).Select(made => made.Status).Distinct().Except(call.Bads.Select(bad => bad.Status)).Order().ToList();
        return string.Join("; ", common.Count == 0 ? own : own.Append(string.Join(", ", common)));
    }

    private static string Names(string fields) => fields.Length == 0 ? "" : $"{string.Join(", ", fields.Split(", ").Select(field => $"`{field}`"))}: ";
}
