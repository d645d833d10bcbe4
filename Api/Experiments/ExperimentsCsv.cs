using System.Globalization;
using System.Text.Json;
using CsvHelper;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Experiments;

/// <summary>
/// A list of experiments as CSV (RFC 4180), a line each, as it is read: never the whole list in memory. Texts that a spreadsheet would take
/// for a formula begin with an apostrophe.
/// </summary>
internal static class ExperimentsCsv
{
    public const string MediaType = "text/csv";

    private const int PageSize = 500;

    private static readonly CsvWriterOptions Format = new() { Injection = CsvInjection.Escape, TrueValue = "true", FalseValue = "false" };

    private static readonly string[] Parameters = [.. ParameterDefinition.All.Keys.Where(name => name != ParameterDefinition.Epochs)];

    private static readonly (string Name, Func<ExperimentResponse, object?> Of)[] Columns =
    [
        ("number", experiment => experiment.Number),
        ("id", experiment => experiment.Id),
        ("name", experiment => experiment.Name),
        ("tags", experiment => string.Join(", ", experiment.Tags)),
        ("status", experiment => JsonNamingPolicy.CamelCase.ConvertName($"{experiment.Status}")),
        ("step", experiment => experiment.Step),
        ("accuracy", experiment => experiment.Accuracy),
        ("bestAccuracy", experiment => experiment.BestAccuracy),
        ("bestStep", experiment => experiment.BestStep),
        ("testAccuracy", experiment => experiment.TestAccuracy),
        ("loss", experiment => experiment.Loss),
        ("meanSquaredError", experiment => experiment.MeanSquaredError),
        ("diverged", experiment => experiment.Diverged),
        ("stoppedEarly", experiment => experiment.StoppedEarly),
        ("durationSeconds", experiment => experiment.DurationSeconds),
        ("savedSeconds", experiment => experiment.SavedSeconds),
        ("imagesPerSecond", experiment => experiment.ImagesPerSecond),
        ("createdAt", experiment => Time(experiment.CreatedAt)),
        ("startedAt", experiment => Time(experiment.StartedAt)),
        ("finishedAt", experiment => Time(experiment.FinishedAt)),
        ("worker", experiment => experiment.Worker),
        ("error", experiment => experiment.Error),
        ("studyId", experiment => experiment.StudyId),
    ];

    /// <summary>The columns: results, then every parameter.</summary>
    public static IEnumerable<string> Header => Columns.Select(column => column.Name).Concat(Parameters);

    public static async Task WriteAsync(
        ExperimentsDbContext db, IQueryable<Experiment> experiments, ExperimentOrder order, Stream to, CancellationToken cancellationToken)
    {
        await using var csv = CsvWriter.Create(to, Format, leaveOpen: true);
        csv.WriteHeader([.. Header]);
        ExperimentPosition? after = null;
        while (true)
        {
            var page = await order.Apply(experiments, after).Take(PageSize).ToResponsesAsync(db, cancellationToken);
            foreach (var experiment in page)
            {
                Write(csv, experiment);
                await csv.EndRecordAsync(cancellationToken);
            }

            await csv.FlushAsync(cancellationToken);
            if (page.Count < PageSize)
                return;
            after = order.PositionOf(page[^1]);
        }
    }

    private static void Write(CsvWriter csv, ExperimentResponse experiment)
    {
        foreach (var (_, of) in Columns)
            csv.WriteField(of(experiment));
        var parameters = JsonSerializer.SerializeToElement(experiment.Parameters, ContractJson.Options);
        foreach (var name in Parameters)
            csv.WriteField(parameters.GetProperty(name).ToString());
    }

    private static string? Time(DateTimeOffset? time) => time?.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
}
