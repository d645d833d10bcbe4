using System.Net.Http.Json;
using System.Text.Json;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests.Endpoints;

/// <summary>What the calls are made on: by name, so that the table can be read without a service.</summary>
internal sealed class Things
{
    public const string Model = "$model";
    public const string Empty = "$empty";
    public const string Image = "$image";
    public const string Completed = "$completed";
    public const string Queued = "$queued";
    public const string Study = "$study";
    public const string Prediction = "$prediction";
    public const string Batch = "$batch";

    /// <summary>A model of its own for each call, which may spoil it.</summary>
    public const string Fresh = "$fresh";

    /// <summary>The same: an image, an experiment that is queued, and its study.</summary>
    public const string FreshImage = "$fresh image";
    public const string FreshExperiment = "$fresh experiment";
    public const string FreshStudy = "$fresh study";

    /// <summary>A name that nothing has.</summary>
    private const string New = "$new";

    private const string Taken = "$taken";

    private readonly HttpClient _client;
    private readonly TestDatabase _database;
    private readonly Dictionary<string, string> _names = [];

    private Things(HttpClient client, TestDatabase database) => (_client, _database) = (client, database);

    public static byte[] Png { get; } = PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1));

    public static async Task<Things> MakeAsync(HttpClient client, TestDatabase database, IBlobStore blobs)
    {
        var things = new Things(client, database);
        // Seen in the future: it is there however long the tests take.
        await database.WorkerAsync("worker", seenSecondsAgo: -600);
        var taken = $"taken {Guid.NewGuid():N}";
        var empty = await PostAsync(client, "/api/models", JsonContent.Create(new { name = taken }));
        var model = (await database.ModelAsync(classes: 2)).ToString();
        var study = await PostAsync(client, $"/api/models/{model}/experiments", null);
        var experiments = study.GetProperty("experiments");
        var weights = await blobs.PutAsync(new MemoryStream(CnnWeights.Make()), CancellationToken.None);
        var completed = experiments[0].GetProperty("id").GetGuid();
        await database.CompleteAsync(completed, 0.9, weights: weights.Hash);
        await database.ClassesAsync(completed, new([10, 10], [11, 9], [9, 8], [new(1, 0, 2), new(0, 1, 1)], [new(190, 1, 0, 0.9, 0.1)]));
        var prediction = await PostAsync(client, $"/api/models/{model}/predictions?wait=0", Bodies.Form(("image", Png))(things));
        await database.ExecuteAsync(
            "UPDATE predictions SET status = 'completed', probabilities = '{0.3, 0.7}', finished_at = now() WHERE id = $1", prediction.GetProperty("id").GetGuid());
        var batch = await PostAsync(client, $"/api/models/{model}/predictions?wait=0", Bodies.Form(("image", Png), ("image", Png))(things));
        await database.ExecuteAsync("UPDATE predictions SET status = 'completed', probabilities = '{0.3, 0.7}', finished_at = now() WHERE status = 'waiting'");
        var withImage = Text(await PostAsync(client, "/api/models", JsonContent.Create(new { name = $"image {Guid.NewGuid():N}" })));
        await PostAsync(client, $"/api/models/{withImage}/images", Bodies.Form(("label", "7"), ("files", Png))(things));

        things._names[Taken] = taken;
        things._names[Empty] = Text(empty);
        things._names[Model] = model;
        things._names[Study] = Text(study);
        things._names[Completed] = $"{completed}";
        things._names[Queued] = Text(experiments[1]);
        things._names[Prediction] = Text(prediction);
        things._names[Batch] = Text(batch);
        things._names[Image] = Text((await client.GetFromJsonAsync<JsonElement>($"/api/models/{withImage}/images")).GetProperty("items")[0]);
        return things;
    }

    public async Task<string> IdAsync(string name)
    {
        if (_names.TryGetValue(name, out var id))
            return id;
        if (name is not (Fresh or FreshImage or FreshExperiment or FreshStudy))
            return name;
        var model = await _database.ModelAsync();
        if (name == Fresh)
            return $"{model}";
        if (name == FreshImage)
            return $"{await _database.ScalarAsync<Guid>("SELECT id FROM images WHERE model_id = $1 LIMIT 1", model)}";
        var study = await PostAsync(_client, $"/api/models/{model}/experiments", null);
        return name == FreshStudy ? Text(study) : Text(study.GetProperty("experiments")[0]);
    }

    /// <summary>Puts in what a text names.</summary>
    public string Fill(string text) =>
        _names.Aggregate(text.Replace(New, $"{Guid.NewGuid():N}", StringComparison.Ordinal), (filled, name) => filled.Replace(name.Key, name.Value, StringComparison.Ordinal));

    private static string Text(JsonElement thing) => thing.GetProperty("id").GetString()!;

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, HttpContent? body)
    {
        using var response = await client.PostAsync(path, body);
        Assert.That(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }
}
