using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using MlExperiments.Testing;

namespace MlExperiments.Page.Tests;

/// <summary>What a model's experiments say together, and any of them side by side.</summary>
public sealed partial class AnalyseTests : PageFixture
{
    private const int Experiments = 12;

    private string _model = "";
    private List<string> _ids = [];

    private ILocator Points => Page.GetByRole(AriaRole.Region, new() { Name = "Experiments within the limits" }).Locator("tbody tr");

    private ILocator Curves => Page.GetByRole(AriaRole.Region, new() { Name = "Experiments of the curves" }).Locator("tbody tr");

    private ILocator SideBySide => Page.GetByRole(AriaRole.Region, new() { Name = "Chosen experiments side by side" });

    /// <summary>Learning rate 0.001, 0.01, 0.1 x layers 1, 2 x steps 100, 200.</summary>
    [OneTimeSetUp]
    public async Task TrainAsync() => (_model, _ids) = await TrainAsync("Analysed digits", [0.001, 0.01, 0.1], [1, 2], [100, 200]);

    [Test]
    public async Task Model_Analysed_BrushingFiltersTheTable_AndTheAddressKeepsIt()
    {
        await Page.GotoAsync($"/models/{_model}");
        await Link("Analyse").ClickAsync();
        await Page.GetByText($"{Experiments} of {Experiments} experiments chosen").WaitForAsync();
        await Assertions.Expect(Points).ToHaveCountAsync(Experiments);
        await Page.GetByText("Exact: every combination was measured").WaitForAsync();
        await Assertions.Expect(Page.Locator(".importance tbody tr").Filter(new() { HasText = "learning rate" }).First).ToContainTextAsync("%");

        await Page.GetByText("Limits by keyboard").ClickAsync();
        await Page.GetByLabel("layers from").SelectOptionAsync("2");
        await ExpectAsync("6 of 12 experiments chosen");
        await Assertions.Expect(Points).ToHaveCountAsync(6);
        await ExpectAddressAsync("brush=layers:2..2");
        await Page.ReloadAsync();
        await ExpectAsync("6 of 12 experiments chosen");
        await Button("Lift the limit").ClickAsync();
        await ExpectAsync("12 of 12 experiments chosen");

        // Along the last axis, the accuracy, over its upper half.
        var plot = (await Page.Locator(".parallel canvas").First.BoundingBoxAsync())!;
        var axis = plot.X + plot.Width - 56;
        await Page.Mouse.MoveAsync(axis, plot.Y + 200);
        await Page.Mouse.DownAsync();
        await Page.Mouse.MoveAsync(axis, plot.Y + 35, new() { Steps = 10 });
        await Page.Mouse.UpAsync();
        await ExpectAddressAsync("brush=accuracy");
        var words = await Page.GetByText(Chosen()).InnerTextAsync();
        var count = int.Parse(Chosen().Match(words).Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.That(count, Is.InRange(1, Experiments - 1));
        await Assertions.Expect(Points).ToHaveCountAsync(count);
        await Screenshots.TakeAsync(Page, "analyse-brushed");
        await Page.ReloadAsync();
        await Assertions.Expect(Points).ToHaveCountAsync(count);
    }

    [Test]
    public async Task Model_Analysed_ShowsMapsAndCurvesOfWhatIsChosen()
    {
        await Page.GotoAsync($"/models/{_model}/analyse?x=layers&y=learningRate");
        await Page.Locator(".heat").WaitForAsync();
        await Assertions.Expect(Page.Locator(".heat td.cell")).ToHaveCountAsync(6);
        await Assertions.Expect(Page.Locator(".heat td.best").First).ToContainTextAsync("the best");
        await Page.GetByLabel("Each cell has the").SelectOptionAsync("mean");
        await ExpectAddressAsync("cell=mean");
        await Assertions.Expect(Page.Locator(".slice canvas")).ToHaveCountAsync(3);

        await Assertions.Expect(Curves).ToHaveCountAsync(5);
        await Points.Nth(7).GetByRole(AriaRole.Checkbox).CheckAsync();
        await Assertions.Expect(Curves).ToHaveCountAsync(6);
        await Page.GetByLabel("Curves of").SelectOptionAsync("loss");
        await Page.GetByLabel("Curves over").SelectOptionAsync("time");
        await Page.GetByLabel("smoothing").FillAsync("0.6");
        await Page.GetByLabel("logarithmic").CheckAsync();
        await ExpectAddressAsync("log=1");
        await Page.ReloadAsync();
        await Assertions.Expect(Curves).ToHaveCountAsync(6);
        await Assertions.Expect(Page.GetByLabel("Curves of")).ToHaveValueAsync("loss");
        await Assertions.Expect(Page.GetByLabel("smoothing")).ToHaveValueAsync("0.6");
        await Assertions.Expect(Curves.First).ToContainTextAsync(Decimal());
        await Curves.First.GetByRole(AriaRole.Button).ClickAsync();
        await Assertions.Expect(Curves).ToHaveCountAsync(5);
        await Page.Locator(".plot-box canvas").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "analyse");
        await Accessibility.CheckAsync(Page, "analyse");

        await Page.GetByLabel("Filter experiments").FillAsync("layers >");
        await Page.GetByLabel("Filter experiments").PressAsync("Enter");
        await Page.GetByText("The filter ends where a value for layers was expected.").WaitForAsync();
        await Page.GetByLabel("Filter experiments").FillAsync("layers > 7");
        await Page.GetByLabel("Filter experiments").PressAsync("Enter");
        await ExpectAsync("Nothing to analyse yet");
        await Screenshots.TakeAllAsync(Page, "analyse-empty");
    }

    [Test]
    public async Task FilteredAnalysis_Left_IsNotReadWithoutTheFilter()
    {
        await Page.GotoAsync($"/models/{_model}/analyse?filter=layers = 2");
        await ExpectAsync("6 of 6 experiments chosen");
        await Assertions.Expect(Curves).ToHaveCountAsync(5);
        var asked = new List<string>();
        Page.Request += (_, request) => asked.Add(request.Url);
        await Link("Back to the model").ClickAsync();
        await Link("Analyse").WaitForAsync();
        Assert.That(asked, Is.Not.Empty.And.None.Contain("/experiments/points"));
    }

    [Test]
    public async Task Model_OfThousands_IsSampled_AndStaysQuick()
    {
        var model = await Stack.CreateModelAsync("Thousands");
        await Stack.UploadAsync(model, DrawnDigits.Zip(5));
        await Stack.PostAsync($"/api/models/{model}/experiments", new { start = false, @fixed = new { learningRate = 0.1, layers = 1, steps = 10 } });
        await using var insert = Stack.Database.DataSource.CreateCommand(
            """
            INSERT INTO experiments (id, model_id, study_id, trajectory_id, number, name, status, parameters, fingerprint, total_steps, priority, diverged, reproducible,
                                     accuracy, loss, mean_squared_error, weights_blob, weights_hash, duration_seconds, saved_seconds, worker, created_at, queued_at, started_at, finished_at)
            SELECT gen_random_uuid(), model_id, study_id, trajectory_id, i + 1, 'number ' || i, 'completed',
                   parameters || jsonb_build_object('learningRate', power(10, -4 + (i * 7919 % 1000) / 300.0), 'layers', i % 8 + 1, 'dropout', (i * 31 % 90) / 100.0, 'optimizer', CASE i % 3 WHEN 0 THEN 'sgd' ELSE 'adam' END),
                   encode(sha256(i::text::bytea), 'hex'), total_steps, 0, false, true,
                   0.5 + (i % 8) / 20.0 + (i * 7919 % 1000) / 20000.0, 0.1, 0.01, repeat('a', 64), repeat('a', 64), 1, 0, 'worker-1', created_at, now(), now(), now()
            FROM experiments, generate_series(1, 6000) AS i WHERE model_id = $1
            """);
        insert.Parameters.Add(new Npgsql.NpgsqlParameter { Value = Guid.Parse(model) });
        await insert.ExecuteNonQueryAsync();

        var clock = Stopwatch.StartNew();
        await Page.GotoAsync($"/models/{model}/analyse");
        await Page.GetByText("5,000 of 5,000 experiments chosen").WaitForAsync();
        await Page.GetByText("The best hundred and a random 4,900 of 6,000 experiments with this metric; 1 without it yet.").WaitForAsync();
        await Page.GetByText("By a random forest over 2,000 of 6,000 experiments").WaitForAsync();
        var read = clock.Elapsed;
        await Page.GetByText("Limits by keyboard").ClickAsync();
        clock.Restart();
        await Page.GetByLabel("optimizer from").SelectOptionAsync("sgd");
        await Page.GetByLabel("layers from").SelectOptionAsync("8");
        await Assertions.Expect(Page.GetByText("of 5,000 experiments chosen")).Not.ToContainTextAsync("5,000 of 5,000");
        await Assertions.Expect(Points).ToHaveCountAsync(25);
        var limited = clock.Elapsed;
        await TestContext.Progress.WriteLineAsync($"5,000 points: read in {read.TotalMilliseconds:0} ms, two limits in {limited.TotalMilliseconds:0} ms");
        Assert.Multiple(() =>
        {
            // Many times what they take, for machines that are slow or busy.
            Assert.That(read, Is.LessThan(TimeSpan.FromSeconds(20)));
            Assert.That(limited, Is.LessThan(TimeSpan.FromSeconds(8)));
        });
        await Screenshots.TakeAllAsync(Page, "analyse-thousands");
    }

    [Test]
    public async Task Experiments_OfTwoModels_AreCompared()
    {
        var (_, others) = await TrainAsync("Other digits", [0.003], [1], [100]);
        await Page.GotoAsync($"/compare?experiments={_ids[0]},{_ids[1]},{others[0]},{Guid.NewGuid()}");

        await Page.GetByText("Compare 3 experiments").WaitForAsync();
        await ExpectAsync("1 of the experiments is not there.");
        await Link("Other digits").First.WaitForAsync();
        await Assertions.Expect(SideBySide.Locator("thead th")).ToHaveCountAsync(3);
        await Assertions.Expect(SideBySide.Locator("tr.differs").Filter(new() { HasText = "steps" })).ToContainTextAsync("differs");
        await Assertions.Expect(SideBySide.Locator("tbody tr").Filter(new() { HasText = "batch size" })).ToHaveCountAsync(1);
        await Page.GetByLabel("only differences").CheckAsync();
        await Assertions.Expect(SideBySide.Locator("tbody tr").Filter(new() { HasText = "batch size" })).ToHaveCountAsync(0);
        await Assertions.Expect(SideBySide.Locator("tr.differs")).Not.ToHaveCountAsync(0);
        await Assertions.Expect(Curves).ToHaveCountAsync(3);
        await Page.Locator(".plot-box canvas").WaitForAsync();
        await Page.Locator(".parallel canvas").WaitForAsync();
        await Screenshots.TakeAllAsync(Page, "compare");
        await Accessibility.CheckAsync(Page, "compare");

        await Page.ReloadAsync();
        await Assertions.Expect(Page.GetByLabel("only differences")).ToBeCheckedAsync();
        await Button("Take #1 out of the table").First.ClickAsync();
        await Assertions.Expect(SideBySide.Locator("thead th")).ToHaveCountAsync(2);
        Assert.That(Page.Url, Does.Not.Contain(_ids[0]));
    }

    [Test]
    public async Task Compare_OfNothing_SaysWhatToDo()
    {
        await Page.GotoAsync("/compare");
        await ExpectAsync("Nothing to compare");
        await Page.GotoAsync($"/compare?experiments={Guid.NewGuid()},7");
        await ExpectAsync("These experiments are not there");
        await Page.GotoAsync($"/models/{Guid.NewGuid()}/analyse");
        await ExpectAsync("This model can't be analysed");
    }

    private static async Task<(string Model, List<string> Ids)> TrainAsync(string name, double[] learningRate, int[] layers, int[] steps)
    {
        var model = await Stack.CreateModelAsync(name);
        await Stack.UploadAsync(model, DrawnDigits.Zip(30));
        var study = await Stack.PostAsync(
            $"/api/models/{model}/experiments", new { space = new { learningRate, layers, steps }, @fixed = new { filters = 4, denseUnits = 16, batchSize = 32 } });
        await Stack.WhenAllCompletedAsync(model, TimeSpan.FromMinutes(2));
        return (model, [.. study.GetProperty("experiments").EnumerateArray().Select(Id)]);
    }

    private static string Id(JsonElement experiment) => experiment.GetProperty("id").GetString()!;

    [GeneratedRegex(@"^(\d+) of 12 experiments chosen$")]
    private static partial Regex Chosen();

    [GeneratedRegex(@"\d\.\d{4}")]
    private static partial Regex Decimal();
}
