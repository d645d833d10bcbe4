using System.Text.Json;
using static MlExperiments.Api.Tests.Endpoints.Bodies;

namespace MlExperiments.Api.Tests.Endpoints;

/// <summary>What every call of a kind refuses; the OpenAPI document says which kind it is.</summary>
internal static class CommonCases
{
    private const string Unknown = "01980c3e-0000-7000-8000-000000000000";

    /// <summary>For the Api's README.</summary>
    public const string Sentences =
        "What all calls refuse stands in the table as a status only: 400 for a parameter or a field that the call doesn't know, and for JSON that is broken; 404 for an id " +
        "that nothing has, or that is none; 413 for more than a megabyte of JSON; 415 for text in JSON's place, and for JSON in a form's. Besides, every call but " +
        "`/health/live` and `/api/session` answers 401 without the API key where there is one, every call but GET 403 to a page of another site, any of these paths 405 to " +
        "another method, and whatever needs the database 503 while it is away. Uploads answer 507 where the disk is full, predictions and event streams 429 where too many are " +
        "open, an image's content 410 where its file is gone, and an archived model 409 to new images and experiments.";

    public static IEnumerable<Case> Of(Call call, JsonElement operation)
    {
        var good = call.Goods.First();
        if (call.Path.Contains("{id}", StringComparison.Ordinal))
        {
            yield return good with { Status = 404, Words = "an id that nothing has", Of = Unknown };
            yield return good with { Status = 404, Words = "no id", Of = "7" };
        }

        if (call.Path.StartsWith("/api/", StringComparison.Ordinal))
            yield return good with { Status = 400, Words = "an unknown parameter", Fields = "colour", Query = "colour=red" };
        if (!operation.TryGetProperty("requestBody", out var body))
            yield break;
        if (body.GetProperty("content").TryGetProperty("multipart/form-data", out _))
        {
            yield return good with { Status = 415, Words = "JSON", Body = Json("{}") };
            yield return good with { Status = 400, Words = "an unknown field", Fields = "colour", Body = WithColour(good.Body!) };
            yield break;
        }

        yield return good with { Status = 415, Words = "text", Body = Text("{}") };
        yield return good with { Status = 400, Words = "broken JSON", Body = Json("{\"name\": ") };
        yield return good with { Status = 400, Words = "an unknown field", Fields = "colour", Body = Json("""{"colour": "red"}""") };
        yield return good with { Status = 413, Words = "a megabyte and more", Body = Json($$"""{"name": "{{new string('x', 1100 * 1024)}}"}""") };
    }

    private static Body WithColour(Body form) => things =>
    {
        var parts = (MultipartFormDataContent)form(things);
        parts.Add(new StringContent("red"), "colour");
        return parts;
    };
}
