using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Text.Unicode;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Studies;

/// <summary>How to have the same once more, in words that a shell takes.</summary>
internal static partial class ReportCommandLines
{
    private const string DefaultSize = "28x28";

    private static readonly JsonElement Defaults = JsonSerializer.SerializeToElement(
        new ExperimentParameters { LearningRate = 0, Layers = 0, Steps = 0 }, ContractJson.Options);

    // Given always, and first.
    private static readonly ParameterDefinition[] Main =
        [ParameterDefinition.All["learningRate"], ParameterDefinition.All[ParameterDefinition.Layers], ParameterDefinition.All[ParameterDefinition.Steps]];

    // Letters as they are; quotes as numbers, so that nothing ends the shell's own.
    private static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.Create(UnicodeRanges.All);

    private static readonly JsonSerializerOptions Json = new() { Encoder = Encoder };

    /// <summary>Where the service was asked. A host is what the client says: one that a shell might read as more than a name is left to be filled in.</summary>
    public static string Service(string scheme, string? host) => $"{(scheme == "https" ? scheme : "http")}://{(host is not null && Host().IsMatch(host) ? host : "HOST")}";

    /// <param name="service">Where it is, as <see cref="Service"/> says: <c>http://127.0.0.1:8080</c>.</param>
    /// <param name="hasKey">Whether it wants its key.</param>
    public static string Generate(string service, Guid modelId, string name, JsonElement definition, bool hasKey)
    {
        var text = new StringBuilder("curl -s '").Append(service).Append("/api/models/").Append(modelId).Append("/experiments' \\\n");
        if (hasKey)
            text.Append("  -H \"Authorization: Bearer $API_KEY\" \\\n");
        text.Append("  -H 'Content-Type: application/json' -d '{\n    \"name\": ").Append(JsonSerializer.Serialize(name, Json));
        foreach (var member in definition.EnumerateObject())
            text.Append(",\n    \"").Append(member.Name).Append("\": ").Append(JsonSerializer.Serialize(member.Value, Json));
        return text.Append("\n  }'").ToString();
    }

    /// <summary>What the executable takes, with all that is not its default.</summary>
    public static string Train(ExperimentParameters parameters, Model model)
    {
        var values = JsonSerializer.SerializeToElement(parameters, ContractJson.Options);
        var text = new StringBuilder("dotnet run --project Training -- train");
        foreach (var definition in Main.Concat(ParameterDefinition.All.Values.Where(definition => definition.Default is not null)))
        {
            var value = values.GetProperty(definition.Name).ToString();
            if (definition.IsRequired || value != Defaults.GetProperty(definition.Name).ToString())
                text.Append(' ').Append(definition.Option).Append(' ').Append(value);
        }

        var size = $"{model.InputWidth}x{model.InputHeight}";
        if (size != DefaultSize)
            text.Append(" --size ").Append(size);
        if (model.InputChannels != 1)
            text.Append(" --channels ").Append(model.InputChannels);
        return text.Append(" --images DIR").ToString();
    }

    [GeneratedRegex(@"\A[A-Za-z0-9.:\[\]-]+\z")]
    private static partial Regex Host();
}
