using System.Text.Json;
using System.Xml.Linq;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Studies;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Tests.Studies;

/// <summary>What a report is made of.</summary>
public sealed class ReportPartsTests
{
    [Test]
    public void Html_OfWhatIsPutIn_EncodesTexts_AndLeavesMarkup()
    {
        var inner = Markup.Html($"<b>{"a < b & \"c\" 'd'"}</b>");

        Assert.That(Markup.Html($"<p title=\"{"\""}\">{inner}{"Größe 大"}{1.25}{3}</p>").Text, Is.EqualTo(
            "<p title=\"&quot;\"><b>a &lt; b &amp; &quot;c&quot; &#x27;d&#x27;</b>Größe 大1.3" + "3</p>"));
    }

    [TestCase(new[] { 0.001, 0.01, 0.1 }, "0.001 0.01 0.1", TestName = "Scale_OfAFewValuesOverTwoDecades_TicksAtThem_EvenlyApart")]
    [TestCase(new[] { 1.0, 2.0, 4.0 }, "1 2 4", TestName = "Scale_OfAFewValues_TicksAtThem")]
    [TestCase(new[] { 1.0, 1.01, 100.0 }, "1 10 100", TestName = "Scale_OfValuesTooCloseForTicks_TicksAtDecades")]
    [TestCase(new[] { 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 10.0 }, "2 4 6 8 10", TestName = "Scale_OfManyValues_TicksAtNiceOnes")]
    [TestCase(new[] { 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0 }, "1e-7 1e-5 0.001 0.1 10", TestName = "Scale_OfManyDecades_LeavesSomeOut")]
    [TestCase(new[] { 0.0, 0.001, 1.0 }, "0 0.2 0.4 0.6 0.8 1", TestName = "Scale_OfZero_IsLinear")]
    [TestCase(new[] { 5.0 }, "5", TestName = "Scale_OfOneValue_HasItInTheMiddle")]
    public void Scale(double[] values, string labels)
    {
        var scale = ChartScale.OfValues([.. values.Cast<object>()]);

        Assert.That(string.Join(' ', scale.Ticks.Select(tick => tick.Label)), Is.EqualTo(labels));
        Assert.That(scale.Ticks.Select(tick => tick.Place), Is.Ordered.And.All.InRange(0, 1));
        Assert.That(values.Select(value => scale.Place(value)), Is.Ordered.And.All.InRange(0, 1));
        if (values is [0.001, 0.01, 0.1])
            Assert.That(scale.Place(0.01), Is.EqualTo(0.5).Within(1e-9));
    }

    [Test]
    public void Scale_OfWords_SpreadsThemEvenly()
    {
        var scale = ChartScale.OfValues(["adam", "sgd"]);

        Assert.That(scale.Ticks, Is.EqualTo(new[] { new ChartTick(0.25, "adam"), new ChartTick(0.75, "sgd") }));
        Assert.That(scale.Place("sgd"), Is.EqualTo(0.75));
    }

    [TestCase(1_000_000.0, 1_000_100.0, "1e6 1.0001e6")]
    [TestCase(0.0010001, 0.0010002, "0.0010001 0.0010002")]
    [TestCase(0.001, 0.002, "0.001 0.002")]
    public void Scale_OfNumbersThatWouldLookAlike_TellsThemApart(double first, double second, string labels)
    {
        foreach (var scale in new[] { ChartScale.OfWords([first, second]), ChartScale.OfValues([first, second]) })
        {
            Assert.That(scale.Place(first), Is.LessThan(scale.Place(second)));
            Assert.That(string.Join(' ', scale.Ticks.Select(tick => tick.Label)), Is.EqualTo(labels));
        }
    }

    [Test]
    public void Chart_OfLongLabelsThatBeginAlike_ShowsTheirEnds()
    {
        var chart = ReportCharts.HeatMap("learningRate", "layers", [new(0.00100001, 1.0, 0.5), new(0.00100002, 1.0, 0.7)]);

        Assert.That(chart.Text, Does.Contain(">…00100001<").And.Contain(">…00100002<"));
    }

    [TestCase(0.9, 0.99, "88% 90% 92% 94% 96% 98% 100%")]
    [TestCase(0.0, 1.0, "0% 20% 40% 60% 80% 100%")]
    [TestCase(0.5, 0.5, "49.94% 49.96% 49.98% 50% 50.02% 50.04% 50.06%")]
    [TestCase(1.0, 1.0, "99.94% 99.96% 99.98% 100%")]
    public void Shares_OfAnyRange_HaveNiceTicks_NotBeyondTheirEnds(double lowest, double highest, string labels)
    {
        var scale = ChartScale.OfShares(lowest, highest);

        Assert.That(string.Join(' ', scale.Ticks.Select(tick => tick.Label)), Is.EqualTo(labels));
        Assert.That(scale.Place(lowest), Is.LessThanOrEqualTo(scale.Place(highest)).And.InRange(0, 1));
    }

    [Test]
    public void Charts_All_AreXml_WithTitleAndDescription()
    {
        var curve = new ReportCurve(Guid.Empty, 7, "<evil>", [new(0, 0.1), new(100, 0.9)]);
        Markup[] charts =
        [
            ReportCharts.Curves([curve, curve with { Points = [new(50, 0.5)] }]),
            ReportCharts.Scores("scores", new("learningRate", [(0.001, 0.5), (0.1, 0.9), (0.1, 0.9)])),
            ReportCharts.Scores("words", new("optimizer", [("adam", 0.5), ("sgd", 0.5)])),
            ReportCharts.HeatMap("a & b", "layers", [new(0.1, 1.0, 0.5), new(0.2, 1.0, 0.7), new(0.2, 2.0, 0.7)]),
        ];
        foreach (var chart in charts)
        {
            var svg = XElement.Parse(chart.Text);
            var names = ((string)svg.Attribute("aria-labelledby")!).Split(' ');
            Assert.That(svg.Elements().Take(2).Select(element => (element.Name.LocalName, (string)element.Attribute("id")!)), Is.EqualTo(new[] { ("title", names[0]), ("desc", names[1]) }));
            Assert.That(chart.Text, Does.Not.Contain("NaN").And.Not.Contain("∞").And.Not.Contain("<evil"));
        }

        Assert.That(charts[1].Text.Split("h0"), Has.Length.EqualTo(3), "one dot for those in the same place");
        Assert.That(charts[2].Text, Does.Not.Contain("line s0"), "no line through words");
    }

    [Test]
    public void Train_OfParameters_NamesWhatIsNotDefault()
    {
        var model = new Model { Name = "m", InputWidth = 32, InputHeight = 24, InputChannels = 3, CreatedAt = DateTimeOffset.UnixEpoch };
        var parameters = new ExperimentParameters { LearningRate = 1e-5, Layers = 2, Steps = 4000, Optimizer = "sgd", Momentum = 0.9, BatchSize = 32, KernelSize = 5, Precision = "bfloat16", Replicate = 3 };

        Assert.That(ReportCommandLines.Train(parameters, model), Is.EqualTo(
            "dotnet run --project Training -- train --i 1E-05 --j 2 --k 4000 --batch-size 32 --optimizer sgd --momentum 0.9 --kernel-size 5 --precision bfloat16 --size 32x24 --channels 3 --images DIR"));
        Assert.That(
            ReportCommandLines.Train(parameters with { Optimizer = "adam", Momentum = 0, BatchSize = 64, KernelSize = 3, Precision = "float32" }, new Model { Name = "m", InputWidth = 28, InputHeight = 28, InputChannels = 1, CreatedAt = DateTimeOffset.UnixEpoch }),
            Is.EqualTo("dotnet run --project Training -- train --i 1E-05 --j 2 --k 4000 --images DIR"));
    }

    [Test]
    public void Generate_WithAKey_AsksForIt_AndNoTextEndsTheQuotes()
    {
        var command = ReportCommandLines.Generate("http://host", Guid.Empty, "it's Größe", JsonDocument.Parse("""{"space": {"steps": [1]}}""").RootElement, hasKey: true);

        Assert.That(command, Is.EqualTo(
            "curl -s 'http://host/api/models/00000000-0000-0000-0000-000000000000/experiments' \\\n  -H \"Authorization: Bearer $API_KEY\" \\\n" +
            "  -H 'Content-Type: application/json' -d '{\n    \"name\": \"it\\u0027s Größe\",\n    \"space\": {\"steps\":[1]}\n  }'"));
    }

    [TestCase("lr 0.001, layers 2, steps 200", false)]
    [TestCase("lr 0.001, layers 2, steps 200, batchSize 32, seed 0", false)]
    [TestCase("lr 0.001, layers 2, steps 2000", true)]
    [TestCase("lr 0.001, layers 2, steps 200, batchSize 64", true)]
    [TestCase("lr 0.001, layers 2, steps 200, the one to show", true)]
    [TestCase("lr 0.001, layers 2, steps 200 again", true)]
    [TestCase("", true)]
    public void IsOwn_OfAName_IsWhetherItSaysMoreThanTheParameters(string name, bool expected) =>
        Assert.That(ExperimentNames.IsOwn(name, new() { LearningRate = 0.001, Layers = 2, Steps = 200, BatchSize = 32 }), Is.EqualTo(expected));

    [TestCase("https", "10.0.0.5:8080", "https://10.0.0.5:8080")]
    [TestCase("http", "[::1]:8080", "http://[::1]:8080")]
    [TestCase("http", "x';rm$IFS-r:80", "http://HOST")]
    [TestCase("http", "host\n", "http://HOST")]
    [TestCase("x'", "", "http://HOST")]
    public void Service_OfAHostThatIsNoName_IsLeftToBeFilledIn(string scheme, string host, string expected) =>
        Assert.That(ReportCommandLines.Service(scheme, host), Is.EqualTo(expected));

    [TestCase("Grid: 3 learningRate, 3 layers", "study-grid-3-learningrate-3-layers")]
    [TestCase("../../etc/passwd\r\n\"", "study-etc-passwd")]
    [TestCase("<>", "study")]
    [TestCase("😀", "study")]
    public void FileName_OfAnyName_IsLettersAndDigits(string name, string expected) => Assert.That(StudyReportEndpoints.FileName(name), Is.EqualTo(expected));
}
