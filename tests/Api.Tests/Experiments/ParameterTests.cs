using System.Net;
using System.Text.Json.Nodes;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests.Experiments;

/// <summary>Every parameter at the edges of what it allows, and beyond.</summary>
public sealed class ParameterTests : ApiFixture
{
    private Guid _model;

    private static IEnumerable<ParameterCase> Cases => ParameterCases.All;

    [OneTimeSetUp]
    public async Task CreateModelAsync() => _model = await Database.ModelAsync();

    [TestCaseSource(nameof(Cases))]
    public async Task Preview_WithAnyParameter_TakesWhatIsAllowedAndNamesWhatIsNot(ParameterCase parameter)
    {
        var all = parameter.Set();
        var listed = new JsonObject { [parameter.Definition.Name] = new JsonArray(JsonNode.Parse(parameter.Json)) };
        var beside = parameter.Set();
        beside.Remove(parameter.Definition.Name);

        var alone = await PostRawAsync($"/api/models/{_model}/experiments/preview", $$"""{"space": {}, "fixed": {{all.ToJsonString()}}}""");
        var inAList = await PostRawAsync($"/api/models/{_model}/experiments/preview", $$"""{"space": {{listed.ToJsonString()}}, "fixed": {{beside.ToJsonString()}}}""");

        if (parameter.IsAllowed)
        {
            foreach (var response in new[] { alone, inAList })
            {
                Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
                Assert.That((await JsonAsync(response)).GetProperty("experiments").GetInt32(), Is.EqualTo(1));
            }
        }
        else
        {
            await InvalidAsync(alone, $"fixed.{parameter.Definition.Name}");
            await InvalidAsync(inAList, $"space.{parameter.Definition.Name}[0]");
        }
    }
}
