using System.Globalization;
using System.Text.Json;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using static MlExperiments.Api.Studies.Markup;
using static MlExperiments.Api.Studies.ReportCharts;

namespace MlExperiments.Api.Studies;

/// <summary>A report as one HTML document that needs nothing else.</summary>
internal static class StudyReportPage
{
    private const int MaxClasses = 100;
    private const int MaxCells = 16;
    private const int MaxShownValues = 12;

    /// <param name="rows">All of the study's experiments, for the charts.</param>
    public static string Render(StudyReport report, IReadOnlyList<ReportRow> rows) => Html($"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="{StudyReportStyle.OwnPolicy}">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <link rel="icon" href="data:,">
        <title>{report.Name}: report</title>
        <style>{new Markup(StudyReportStyle.Css)}</style>
        </head>
        <body>
        <main>
        {Head(report)}
        {Best(report)}
        {Charts(report, rows)}
        {Seeds(report)}
        <div class="columns">{Settings(report)}{Images(report)}</div>
        {Again(report)}
        {Experiments(report)}
        </main>
        </body>
        </html>

        """).Text;

    private static Markup Head(StudyReport report)
    {
        var count = report.Statuses.Values.Sum();
        var statuses = string.Join(", ", report.Statuses.Where(status => status.Value > 0).Select(status => $"{Count(status.Value)} {status.Key}"));
        var left = report.EstimatedSecondsLeft is { } seconds ? $", about {Duration(seconds)} left" : "";
        return Html($"""
            <header>
            <h1><bdi>{report.Name}</bdi></h1>
            <p class="soft">A study of the model <bdi>{report.Model.Name}</bdi>, generated {Time(report.CreatedAt)}; reported {Time(report.ReportedAt)}</p>
            {Each(report.Model.Tags, tag => Html($"""<span class="tag"><bdi>{tag}</bdi></span> """))}
            </header>
            {When(report.StoppedAt, stopped => Html($"""<p class="bad">Stopped {Time(stopped)}: {report.StopReason}</p>"""))}
            <dl class="facts">
            <div><dt>Validation accuracy</dt><dd>{Percent(report.Best?.Accuracy)}</dd></div>
            <div><dt>Test accuracy</dt><dd>{Percent(report.Best?.TestAccuracy)}</dd></div>
            <div><dt>Experiments completed</dt><dd>{Count(report.Statuses["completed"])} of {Count(count)}</dd></div>
            <div><dt>Steps done</dt><dd>{report.Progress.ToString("0.#%", CultureInfo.InvariantCulture)}</dd></div>
            <div><dt>Time trained</dt><dd>{Duration(report.TrainedSeconds)}</dd></div>
            <div><dt>Saved by sharing</dt><dd>{Duration(report.SavedSeconds)}</dd></div>
            </dl>
            <p class="soft">{(count == 0 ? "It has no experiments." : $"Experiments: {statuses}{left}.")}
            {When(report.StartedAt, started => Html($"First step {Time(started)}"))}{When(report.FinishedAt, finished => Html($", all over {Time(finished)}"))}</p>
            """);
    }

    private static Markup Best(StudyReport report) => report.Best is not { } best
        ? Html($"""<h2>Best parameters</h2><p class="soft">No experiment is completed yet: what is best shows with the first one.</p>""")
        : Html($"""
            <h2>Best parameters</h2>
            <dl class="tiles">{Each(Values(best.Parameters), value => Html($"<div>{Pair(value.Name, Value(value.Value))}</div>"))}</dl>
            <dl class="pairs">
            {Pair("experiment", $"#{Text(best.Number)} {best.Name}")}
            {When(best.StoppedEarly, Pair("training", StoppedEarly(best.Step)))}
            {Pair("id", $"{best.ExperimentId}")}
            {Pair("weights", best.WeightsHash is { } hash ? $"SHA-256 {hash}" : "none")}
            {When(!best.Reproducible, Pair("note", "It trained on a GPU, or went on from a checkpoint of another engine, version, device or kind of CPU, or with points another distance apart: the same bits can't be expected again."))}
            </dl>
            """);

    private static Markup Charts(StudyReport report, IReadOnlyList<ReportRow> rows)
    {
        var completed = rows.Where(row => row is { Status: ExperimentStatus.Completed, Accuracy: not null }).ToList();
        if (completed.Count == 0)
            return Nothing;
        // Of seeds it is the deviation that tells something, not each of them.
        var names = report.Parameters.Select(parameter => parameter.Name).Where(name => name != "seed").ToList();
        var scores = names.Select((name, index) => Html($"""
            <figure><figcaption>Accuracy against {name}</figcaption>{Scores($"scores-{Text(index)}", new(name, [.. completed.Select(row => (row.Value(name), row.Accuracy!.Value))]))}</figure>
            """));
        var pair = report.Parameters.Where(parameter => names.Contains(parameter.Name) && parameter.Values.Count <= MaxCells).Take(2).ToList();
        var curves = report.Curves.Count == 0 ? Nothing : Html($"""
            <figure><figcaption>Validation accuracy on the way, of the best trainings</figcaption>{Curves(report.Curves)}
            <ul class="legend">{Each(report.Curves.Index(), curve => Html($"<li>{Sample(curve.Index)}<bdi>#{curve.Item.Number} {curve.Item.Name}</bdi></li>"))}</ul></figure>
            """);
        var heat = pair is not [var across, var up] ? Nothing : Html($"""
            <figure><figcaption>Highest accuracy by {across.Name} and {up.Name}</figcaption>{HeatMap(across.Name, up.Name, Cells(completed, across.Name, up.Name))}</figure>
            """);
        return report.Curves.Count == 0 && names.Count == 0
            ? Nothing
            : Html($"""<h2>Charts</h2><div class="charts">{curves}{heat}{scores}</div><p class="soft">Accuracies are those of the validation images. A dot is an experiment; lines go through the best of each value.</p>""");
    }

    private static List<HeatCell> Cells(List<ReportRow> completed, string across, string up) =>
        [.. completed.GroupBy(row => (X: row.Value(across), Y: row.Value(up))).Select(cell => new HeatCell(cell.Key.X, cell.Key.Y, cell.Max(row => row.Accuracy!.Value)))];

    private static Markup Seeds(StudyReport report)
    {
        if (report.Results.Count == 0)
            return Nothing;
        var names = report.Parameters.Select(parameter => parameter.Name).Where(name => name != "seed").ToList();
        var labels = Labels(report);
        return Html($"""
            <h2>Over seeds</h2>
            <p class="soft">The same parameters, trained from several seeds: how much of a difference is chance.</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Accuracies over seeds"><table class="narrow">
            <thead><tr>{Each(names, name => Html($"""<th scope="col" class="right">{name}</th>"""))}<th scope="col" class="right">seeds</th><th scope="col" class="right">mean</th><th scope="col" class="right">deviation</th><th scope="col" class="right">lowest</th><th scope="col" class="right">highest</th></tr></thead>
            <tbody>{Each(report.Results, result => Html($"""
                <tr>{Each(names, name => Right(labels[name](result.Parameters.GetProperty(name))))}{Right(Text(result.Seeds))}{Right(Percent(result.MeanAccuracy))}{Right(Percent(result.StandardDeviation))}{Right(Percent(result.LowestAccuracy))}{Right(Percent(result.HighestAccuracy))}</tr>

                """))}</tbody></table></div>
            """);
    }

    private static Markup Settings(StudyReport report)
    {
        var definition = report.Definition.ValueKind == JsonValueKind.Object ? report.Definition.EnumerateObject().ToDictionary(member => member.Name, member => member.Value) : [];
        var space = definition.TryGetValue("space", out var given) ? given.EnumerateObject().ToList() : [];
        return Html($"""
            <section><h2>Settings</h2><dl class="pairs">
            {Each(space, dimension => Pair(dimension.Name, Values(dimension.Value)))}
            {Each(definition.Where(member => member.Key != "space"), member => Pair(member.Key, Value(member.Value)))}
            </dl></section>
            """);
    }

    private static Markup Images(StudyReport report)
    {
        var (model, images) = (report.Model, report.Images);
        var more = images.Classes.Count - MaxClasses;
        return Html($"""
            <section><h2>Model and images</h2><dl class="pairs">
            {Pair("input", $"{Text(model.InputWidth)} x {Text(model.InputHeight)} pixels, {(model.InputChannels == 1 ? "grey" : "colour")}")}
            {Pair("images", $"{Count(images.Train)} to train, {Count(images.Validation)} to validate, {Count(images.Test)} to test")}
            {Pair($"{Count(images.Classes.Count)} classes", string.Join(", ", images.Classes.Take(MaxClasses)) + (more > 0 ? $", and {Count(more)} more" : ""))}
            {Pair("data set", $"SHA-256 {images.Hash}")}
            {When(model.Notes, notes => Html($"""<dt>notes</dt><dd class="notes"><bdi>{notes}</bdi></dd>"""))}
            </dl></section>
            """);
    }

    private static Markup Again(StudyReport report) => Html($"""
        <h2>The same once more</h2>
        <p>This generates the study again. What a model has already on the same images is shown and not trained again; <code>"force": true</code> in the body has it trained anew.</p>
        <pre>{report.Commands.Generate}</pre>
        {When(report.Commands.Train, command => Html($"""
            <p>This trains the best experiment without the service, on a folder DIR with the images in a folder for each class{(report.Best!.Parameters.LearningRateChanges is null ? "" : ", but without the changes of its learning rate on the way")}. On the same engine and kind of machine it comes to the same bits.</p>
            <pre>{command}</pre>
            """))}
        <dl class="pairs">
        {Pair("service", $"ML Experiments {report.Versions.Service}, jobs by {report.Versions.JobEngine}")}
        {Each(report.Workers, worker => Pair($"worker {worker.Name}", Worker(worker)))}
        {When(report.Workers.Count == 0, Pair("workers", "none has trained any of it yet"))}
        </dl>
        """);

    private static Markup Experiments(StudyReport report)
    {
        var names = report.Parameters.Select(parameter => parameter.Name).ToList();
        var labels = Labels(report);
        var more = report.MoreExperiments == 0 ? Nothing : Html($"""
            <p>These are the {Count(report.Experiments.Count)} most accurate; {Count(report.MoreExperiments)} more are in the CSV file: <code>/api/studies/{$"{report.Id}"}/report?format=csv</code></p>
            """);
        return Html($"""
            <h2>Experiments</h2>
            {more}
            <div class="scroll" tabindex="0" role="region" aria-label="Experiments"><table>
            <thead><tr><th scope="col" class="right">#</th>{Each(names, name => Html($"""<th scope="col" class="right">{name}</th>"""))}<th scope="col" class="right">accuracy</th><th scope="col" class="right">test</th><th scope="col" class="right">loss</th><th scope="col" class="right">trained</th><th scope="col" class="right">of it shared</th><th scope="col">status</th><th scope="col">remarks</th></tr></thead>
            <tbody>
            {Each(report.Experiments, experiment => Row(experiment, names, labels))}</tbody></table></div>
            """);
    }

    private static Markup Row(ReportExperiment experiment, List<string> names, Dictionary<string, Func<JsonElement, string>> labels)
    {
        var values = Values(experiment.Parameters).ToDictionary(value => value.Name, value => value.Value);
        return Html($"""
            <tr>{Right(Text(experiment.Number))}{Each(names, name => Right(labels[name](values[name])))}{Right(Percent(experiment.Accuracy))}{Right(Percent(experiment.TestAccuracy))}{Right(Loss(experiment.Loss))}{Right(Seconds(experiment.DurationSeconds))}{Right(Seconds(experiment.SavedSeconds))}<td>{StatusCounts.Name(experiment.Status)}{(experiment.Diverged ? ", diverged" : "")}{(experiment is { StoppedEarly: true, Step: { } step } ? $", {StoppedEarly(step)}" : "")}</td><td class="words">{Remarks(experiment)}</td></tr>

            """);
    }

    private static Markup Remarks(ReportExperiment experiment) => Html($"""
        {When(ExperimentNames.IsOwn(experiment.Name, experiment.Parameters), Html($"<bdi>{experiment.Name}</bdi> "))}{Each(experiment.Tags, tag => Html($"""<span class="tag"><bdi>{tag}</bdi></span> """))}{When(experiment.Error, error => Html($"""<span class="bad"><bdi>{error}</bdi></span>"""))}
        """);

    private static Markup Pair(string name, string value) => Html($"<dt><bdi>{name}</bdi></dt><dd><bdi>{value}</bdi></dd>\n");

    private static Markup Right(string value) => Html($"""<td class="right">{value}</td>""");

    private static IEnumerable<Markup> Each<T>(IEnumerable<T> items, Func<T, Markup> template) => items.Select(template);

    private static Markup When(bool isSo, Markup markup) => isSo ? markup : Nothing;

    private static Markup When<T>(T? value, Func<T, Markup> template)
        where T : class => value is null ? Nothing : template(value);

    private static Markup When(DateTimeOffset? time, Func<DateTimeOffset, Markup> template) => time is { } given ? template(given) : Nothing;

    private static IEnumerable<(string Name, JsonElement Value)> Values(ExperimentParameters parameters) =>
        JsonSerializer.SerializeToElement(parameters, ContractJson.Options).EnumerateObject().Select(member => (member.Name, member.Value));

    /// <summary>For the columns of a table: as few digits as tell one value from the next.</summary>
    private static Dictionary<string, Func<JsonElement, string>> Labels(StudyReport report) => report.Parameters.ToDictionary(
        parameter => parameter.Name,
        parameter =>
        {
            var label = ChartScale.Labels(parameter.Values.Where(value => value.Value.ValueKind == JsonValueKind.Number).Select(value => (object)value.Value.GetDouble()));
            return new Func<JsonElement, string>(value => value.ValueKind == JsonValueKind.Number ? label(value.GetDouble()) : Value(value));
        });

    /// <summary>A dimension of the space; a long one by its ends.</summary>
    private static string Values(JsonElement values) => values.ValueKind == JsonValueKind.Array && values.GetArrayLength() > MaxShownValues
        ? $"{Count(values.GetArrayLength())} values, {Value(values[0])} to {Value(values[values.GetArrayLength() - 1])}"
        : Value(values);

    private static string Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.GetRawText(),
        JsonValueKind.True => "yes",
        JsonValueKind.False => "no",
        JsonValueKind.Null => "none",
        JsonValueKind.Array => string.Join(", ", value.EnumerateArray().Select(Value)),
        JsonValueKind.Object => string.Join(", ", value.EnumerateObject().Select(member => $"{member.Name} {Value(member.Value)}")) is { Length: > 0 } members ? members : "none",
        _ => $"{value}",
    };

    private static string Worker(ReportWorker worker)
    {
        string?[] known = [worker.TorchEngine, worker.Version is { } version ? $"version {version}" : null, worker.Host is { } host ? $"on {host}" : null, $"attempts: {Count(worker.Attempts)}"];
        return string.Join(", ", known.OfType<string>());
    }

    private static string Percent(double? share) => share is { } known ? ReportCharts.Percent(known) : "–";

    private static string Loss(double? loss) => loss is { } known && double.IsFinite(known) ? known.ToString("0.0000", CultureInfo.InvariantCulture) : "–";

    private static string Seconds(double? seconds) => seconds is { } known ? known.ToString("0.0", CultureInfo.InvariantCulture) + " s" : "–";

    private static string StoppedEarly(int step) => $"stopped early at {Count(step)}";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Count(int number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    private static string Duration(double seconds) => TimeSpan.FromSeconds(seconds) switch
    {
        { TotalSeconds: < 100 } span => $"{span.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s",
        { TotalMinutes: < 100 } span => $"{span.TotalMinutes.ToString("0.#", CultureInfo.InvariantCulture)} min",
        var span => $"{span.TotalHours.ToString("#,0.#", CultureInfo.InvariantCulture)} h",
    };
}
