using System.Globalization;
using System.Text;
using static MlExperiments.Api.Studies.Markup;

namespace MlExperiments.Api.Studies;

/// <summary>One cell of a heat map.</summary>
internal readonly record struct HeatCell(object X, object Y, double Accuracy);

/// <summary>Charts as SVG that stands for itself: no script, no style of its own but the page's classes, told apart in grey too.</summary>
internal static class ReportCharts
{
    private const double Width = 400;
    private const double Height = 250;
    private const double Left = 48;
    private const double Right = 390;
    private const double Top = 12;
    private const double Bottom = 206;
    private const int MaxLabelLength = 9;

    // More cells have no room for their number.
    private const int MaxNumberedCells = 64;

    // Light to dark: the order is that of lightness, in print as on the screen.
    private static readonly string[] Heat = ["#e8f3f1", "#c9e4e0", "#a3d1cb", "#78bab2", "#4c9f96", "#27827a", "#10655f", "#084a46"];

    /// <summary>Validation accuracy over steps, a line for each curve.</summary>
    public static Markup Curves(IReadOnlyList<ReportCurve> curves)
    {
        var points = curves.SelectMany(curve => curve.Points).ToList();
        var x = ChartScale.OfSteps(points.Max(point => point.Step));
        var y = ChartScale.OfShares(points.Min(point => point.Accuracy), points.Max(point => point.Accuracy));
        var lines = curves.Select((curve, index) => Html(
            $"""<path class="line s{index}" d="{Line(curve.Points.Select(point => (AcrossOf(x, (double)point.Step), UpOf(y, point.Accuracy))))}"/>"""));
        return Frame(
            "curves",
            "Validation accuracy over steps",
            string.Join("; ", curves.Select(curve => $"experiment {curve.Number} ends at {Percent(curve.Points[^1].Accuracy)} after {curve.Points[^1].Step} steps")),
            x,
            y,
            "steps",
            Html($"{lines}"));
    }

    /// <summary>Accuracy against one parameter: a dot for each experiment, and a line through the best of each value.</summary>
    /// <param name="scores">At least one.</param>
    public static Markup Scores(string id, ReportParameterScores scores)
    {
        var (name, values) = scores;
        var best = values.GroupBy(score => score.Value).Select(group => (group.Key, Accuracy: group.Max(score => score.Accuracy))).OrderBy(score => score.Key).ToList();
        var x = ChartScale.OfValues([.. best.Select(score => score.Key)]);
        var y = ChartScale.OfShares(values.Min(score => score.Accuracy), values.Max(score => score.Accuracy));
        var dots = new StringBuilder();
        // Ten thousand experiments have far fewer places to be at.
        foreach (var (across, up) in values.Select(score => (Math.Round(AcrossOf(x, score.Value)), Math.Round(UpOf(y, score.Accuracy)))).Distinct())
            dots.Append(CultureInfo.InvariantCulture, $"M{across} {up}h0");
        var line = best[0].Key is double ? Html($"""<path class="line s0" d="{Line(best.Select(score => (AcrossOf(x, score.Key), UpOf(y, score.Accuracy))))}"/>""") : Nothing;
        var top = best.MaxBy(score => score.Accuracy);
        return Frame(
            id,
            $"Accuracy against {name}",
            $"{values.Count} experiments at {best.Count} values of {name}; the highest accuracy is {Percent(top.Accuracy)} at {ChartScale.Labels(best.Select(score => score.Key))(top.Key)}",
            x,
            y,
            name,
            Html($"""{line}<path class="dots" d="{dots.ToString()}"/>"""));
    }

    /// <summary>The highest accuracy at each pair of values, the darker the higher.</summary>
    public static Markup HeatMap(string across, string up, IReadOnlyList<HeatCell> cells)
    {
        var columns = cells.Select(cell => cell.X).Distinct().Order().ToList();
        var rows = cells.Select(cell => cell.Y).Distinct().Order().ToList();
        var (lowest, highest) = (cells.Min(cell => cell.Accuracy), cells.Max(cell => cell.Accuracy));
        var (width, height) = ((Right - Left) / columns.Count, (Bottom - Top) / rows.Count);
        var isNumbered = cells.Count <= MaxNumberedCells && width >= 34 && height >= 14;
        var squares = cells.Select(cell =>
        {
            var shade = highest > lowest ? (int)Math.Min(Heat.Length - 1, (cell.Accuracy - lowest) / (highest - lowest) * Heat.Length) : Heat.Length / 2;
            var (x, y) = (Left + (columns.IndexOf(cell.X) * width), Bottom - ((rows.IndexOf(cell.Y) + 1) * height));
            var number = isNumbered
                ? Html($"""<text class="{(shade >= 5 ? "on-dark" : "on-light")}" x="{x + (width / 2)}" y="{y + (height / 2) + 4}" text-anchor="middle">{Percent(cell.Accuracy)}</text>""")
                : Nothing;
            return Html($"""<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{Heat[shade]}" stroke="#fff" stroke-width="1"/>{number}""");
        });
        var best = cells.MaxBy(cell => cell.Accuracy);
        return Frame(
            "heat",
            $"Highest accuracy by {across} and {up}",
            $"Accuracies are {Percent(lowest)} to {Percent(highest)}; the highest is at {across} {ChartScale.Labels(columns)(best.X)} and {up} {ChartScale.Labels(rows)(best.Y)}. Darker is higher",
            ChartScale.OfWords(columns),
            ChartScale.OfWords(rows),
            across,
            Html($"{squares}"),
            up,
            hasGrid: false);
    }

    /// <summary>A piece of a curve's line, for a legend.</summary>
    public static Markup Sample(int index) =>
        Html($"""<svg class="sample" viewBox="0 0 28 8" aria-hidden="true"><path class="line s{index}" d="M0 4H28"/></svg>""");

    public static string Percent(double share) => (share * 100).ToString("0.00", CultureInfo.InvariantCulture) + "%";

    private static Markup Frame(string id, string title, string description, ChartScale x, ChartScale y, string xLabel, Markup content, string? yLabel = null, bool hasGrid = true)
    {
        var middle = (Top + Bottom) / 2;
        var (rowLabels, columnLabels) = (Short(y.Ticks), Short(x.Ticks));
        var horizontal = y.Ticks.Select((tick, index) => Html(
            $"""{(hasGrid ? Html($"""<path class="grid" d="M{Left} {UpAt(tick.Place)}H{Right}"/>""") : Nothing)}<text x="{Left - 6}" y="{UpAt(tick.Place) + 4}" text-anchor="end">{rowLabels[index]}</text>"""));
        var vertical = x.Ticks.Select((tick, index) => Html(
            $"""{(hasGrid ? Html($"""<path class="grid" d="M{AcrossAt(tick.Place)} {Bottom}v4"/>""") : Nothing)}<text x="{AcrossAt(tick.Place)}" y="{Bottom + 16}" text-anchor="middle">{columnLabels[index]}</text>"""));
        var beside = yLabel is null
            ? Nothing
            : Html($"""<text class="axis" x="10" y="{middle}" text-anchor="middle" transform="rotate(-90 10 {middle})">{yLabel}</text>""");
        return Html($"""
            <svg viewBox="0 0 {Width} {Height}" role="img" aria-labelledby="{id}-title {id}-text"><title id="{id}-title">{title}</title><desc id="{id}-text">{description}.</desc>
            {horizontal}{vertical}{content}<path class="frame" d="M{Left} {Top}V{Bottom}H{Right}"/><text class="axis" x="{(Left + Right) / 2}" y="{Height - 8}" text-anchor="middle">{xLabel}</text>{beside}</svg>
            """);
    }

    private static string Line(IEnumerable<(double X, double Y)> points) =>
        string.Join(' ', points.Select((point, index) => string.Create(CultureInfo.InvariantCulture, $"{(index == 0 ? "M" : "L")}{point.X:0.#} {point.Y:0.#}")));

    /// <summary>Their beginnings, where these tell them apart; else their ends.</summary>
    private static string[] Short(IReadOnlyList<ChartTick> ticks)
    {
        string[] heads = [.. ticks.Select(tick => tick.Label.Length <= MaxLabelLength ? tick.Label : tick.Label[..(MaxLabelLength - 1)] + "…")];
        return heads.Distinct().Count() == heads.Length
            ? heads
            : [.. ticks.Select(tick => tick.Label.Length <= MaxLabelLength ? tick.Label : "…" + tick.Label[^(MaxLabelLength - 1)..])];
    }

    private static double AcrossOf(ChartScale scale, object value) => AcrossAt(scale.Place(value));

    private static double UpOf(ChartScale scale, object value) => UpAt(scale.Place(value));

    private static double AcrossAt(double place) => Left + (place * (Right - Left));

    private static double UpAt(double place) => Bottom - (place * (Bottom - Top));
}

/// <param name="Scores">A value, and the accuracy of one experiment that has it.</param>
internal sealed record ReportParameterScores(string Name, IReadOnlyList<(object Value, double Accuracy)> Scores);
