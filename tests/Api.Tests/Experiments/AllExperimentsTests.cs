using System.Net;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Api.Analysis;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Tests.Experiments;

/// <summary>The list across models.</summary>
public sealed class AllExperimentsTests : ApiFixture
{
    private readonly List<(Guid Model, Guid Study, List<Guid> Ids)> _made = [];

    [OneTimeSetUp]
    public async Task MakeThreeModelsAsync()
    {
        for (var made = 0; made < 3; made++)
        {
            var model = await Database.ModelAsync();
            var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
            _made.Add((model, study.GetProperty("id").GetGuid(), [.. study.GetProperty("experiments").EnumerateArray().Select(Id)]));
        }

        // Ties within and across models, and most without a value.
        foreach (var (_, _, ids) in _made)
        {
            for (var index = 0; index < 6; index++)
                await Database.CompleteAsync(ids[index], index % 2 / 4.0);
        }
    }

    [TestCase("", "")]
    [TestCase("createdAt", "asc")]
    [TestCase("accuracy", "desc")]
    [TestCase("accuracy", "asc")]
    [TestCase("number", "asc")]
    [TestCase("status", "asc")]
    [TestCase("name", "desc")]
    [TestCase("learningRate", "asc")]
    [TestCase("optimizer", "desc")]
    public async Task List_PageByPage_IsTheWholeListInOrder(string sort, string order)
    {
        var path = sort.Length == 0 ? "/api/experiments?" : $"/api/experiments?sort={sort}&order={order}&";

        var whole = await ItemsAsync(path + "limit=500");
        var paged = await ItemsAsync(path + "limit=7");

        Assert.That(paged.Select(Id), Is.EqualTo(whole.Select(Id)));
        Assert.That(whole.Select(Id), Is.EquivalentTo(_made.SelectMany(made => made.Ids)));
        if (sort == "optimizer")
            Assert.That(whole.Select(Id), Is.EqualTo(_made.SelectMany(made => made.Ids)), "all are equal in it: in the order in which they were made");
    }

    [Test]
    public async Task List_WithoutAnOrder_HasTheNewestStudyFirst_AndItsExperimentsByNumber()
    {
        var items = await ItemsAsync("/api/experiments?limit=500");

        Assert.That(items.Select(Id), Is.EqualTo(Enumerable.Reverse(_made).SelectMany(made => made.Ids)));
        var name = await Database.ScalarAsync<string>("SELECT name FROM models WHERE id = $1", _made[2].Model);
        Assert.That(items[0].GetProperty("modelName").GetString(), Is.EqualTo(name));
        Assert.That(items[0].GetProperty("modelId").GetGuid(), Is.EqualTo(_made[2].Model));
    }

    [Test]
    public async Task List_Filtered_ShowsOnlyThose()
    {
        var (first, second, third) = (_made[0], _made[1], _made[2]);

        Assert.That(await IdsAsync($"model={first.Model}"), Is.EquivalentTo(first.Ids));
        Assert.That(await IdsAsync($"model={first.Model},{third.Model}"), Is.EquivalentTo(first.Ids.Concat(third.Ids)));
        Assert.That(await IdsAsync($"model={first.Model}&model={third.Model}"), Is.EquivalentTo(first.Ids.Concat(third.Ids)));
        Assert.That(await IdsAsync($"model={Guid.NewGuid()}"), Is.Empty);
        Assert.That(await IdsAsync($"studyId={second.Study}"), Is.EquivalentTo(second.Ids));
        Assert.That(await IdsAsync($"status=completed&model={second.Model}"), Is.EquivalentTo(second.Ids.Take(6)));
        Assert.That(await IdsAsync("status=completed,queued&status=running"), Has.Count.EqualTo(81));
    }

    [TestCase("model=1", "model")]
    [TestCase("model=", "model")]
    [TestCase("modelId=01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d", "modelId")]
    [TestCase("status=done", "status")]
    [TestCase("sort=colour", "sort")]
    [TestCase("order=up", "order")]
    [TestCase("studyId=1", "studyId")]
    [TestCase("limit=501", "limit")]
    [TestCase("cursor=x", "cursor")]
    public async Task List_WithAWrongParameter_NamesIt(string query, string field) =>
        await InvalidAsync(await Client.GetAsync($"/api/experiments?{query}"), field);

    [Test]
    public async Task Cursor_OfAModelsList_IsRefused()
    {
        var page = await JsonAsync(await Client.GetAsync($"/api/models/{_made[0].Model}/experiments?sort=createdAt&order=desc&limit=1"));

        await InvalidAsync(await Client.GetAsync($"/api/experiments?limit=1&model={_made[0].Model}&cursor={page.GetProperty("nextCursor").GetString()}"), "cursor");
    }

    [TestCase("createdAt", true, true, "experiments_created")]
    [TestCase("accuracy", true, false, "experiments_best_first")]
    [TestCase("number", false, false, "experiments_model_id_number_key")]
    public async Task UsualOrders_AreReadOffAnIndex(string sort, bool descending, bool acrossModels, string index) =>
        Assert.That(
            await PlanAsync(experiments => ExperimentOrder.Find(sort, descending, acrossModels)!
                .Apply(acrossModels ? experiments : experiments.Where(experiment => experiment.ModelId == _made[0].Model), null).Take(51)),
            Does.Contain(index).And.Not.Contain("Sort"));

    [Test]
    public async Task BestMeasured_AreReadOffAnIndex() =>
        Assert.That(
            await PlanAsync(experiments => experiments.Where(experiment => experiment.ModelId == _made[0].Model).With("accuracy").Best("accuracy", 100)),
            Does.Contain("experiments_best_first").And.Not.Contain("Sort"));

    /// <summary>How PostgreSQL would read these, were sorting dear: a few dozen rows are quicker sorted, and the question is whether the index could serve.</summary>
    private async Task<string> PlanAsync(Func<IQueryable<Experiment>, IQueryable<Experiment>> query)
    {
        await using var scope = Services.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<ExperimentsDbContext>();
        await using var transaction = await db.Database.BeginTransactionAsync();
        await db.Database.ExecuteSqlAsync($"SET LOCAL enable_seqscan = off");
        await db.Database.ExecuteSqlAsync($"SET LOCAL enable_sort = off");
        await using var plan = query(db.Experiments).CreateDbCommand();
        plan.Transaction = transaction.GetDbTransaction();
        plan.CommandText = "EXPLAIN " + plan.CommandText;
        var lines = new List<string>();
        await using var reader = await plan.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            lines.Add(reader.GetString(0));
        return string.Join('\n', lines);
    }

    private async Task<List<Guid>> IdsAsync(string query) => [.. (await ItemsAsync($"/api/experiments?{query}&limit=500")).Select(Id)];

    private async Task<List<JsonElement>> ItemsAsync(string path)
    {
        var items = new List<JsonElement>();
        string? cursor = null;
        var pages = 0;
        do
        {
            var response = await Client.GetAsync(cursor is null ? path : $"{path}&cursor={cursor}");
            var page = await JsonAsync(response);
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), page.ToString());
            items.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null && ++pages < 100);
        return items;
    }

    private static Guid Id(JsonElement item) => item.GetProperty("id").GetGuid();
}
