using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Studies;

/// <summary>What a study came to, to be kept, printed and sent to others.</summary>
internal static class StudyReportEndpoints
{
    private const int MaxFileNameLength = 60;

    private const string Example = """
        {"id": "01980c3f-0a0b-7c0d-8e0f-1a2b3c4d5e6f", "name": "Less dropout", "createdAt": "2026-03-01T09:00:00+00:00", "startedAt": "2026-03-01T09:00:02+00:00",
         "finishedAt": "2026-03-01T09:01:10+00:00", "stoppedAt": null, "stopReason": null, "reportedAt": "2026-03-01T10:00:00+00:00",
         "model": {"id": "01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d", "name": "Digits", "tags": ["demo"], "notes": null, "inputWidth": 28, "inputHeight": 28, "inputChannels": 1},
         "images": {"dataSetVersionId": "01980c3e-5c2d-7e3f-8a4b-9c5d6e7f8a9b", "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "classes": ["0", "1"], "train": 1600, "validation": 400, "test": 0},
         "definition": {"space": {"learningRate": [0.001, 0.01]}, "fixed": {"layers": 2, "steps": 2000}, "strategy": {"sampler": "grid"},
                        "objective": {"metric": "accuracy", "direction": "maximize"}, "limits": {}, "start": true, "replicates": 1, "priority": 0},
         "statuses": {"draft": 0, "queued": 0, "running": 0, "completed": 2, "paused": 0, "cancelled": 0, "failed": 0, "pruned": 0},
         "progress": 1, "estimatedSecondsLeft": null, "trainedSeconds": 42.8, "savedSeconds": 0,
         "parameters": [{"name": "learningRate", "values": [
            {"value": 0.001, "experiments": 1, "completed": 1, "highestAccuracy": 0.989, "meanAccuracy": 0.989},
            {"value": 0.01, "experiments": 1, "completed": 1, "highestAccuracy": 0.97, "meanAccuracy": 0.97}]}],
         "best": {"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "number": 1, "name": "lr 0.001, layers 2, steps 2000", "parameters": 
        """ + ExperimentsEndpoints.ExampleParameters + """
        , "stoppedEarly": false, "step": 2000, "accuracy": 0.989, "testAccuracy": null, "weightsHash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "reproducible": true},
         "curves": [{"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "number": 1, "name": "lr 0.001, layers 2, steps 2000",
                     "points": [{"step": 100, "accuracy": 0.93}, {"step": 2000, "accuracy": 0.989}]}],
         "results": [],
         "experiments": [{"id": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "number": 1, "name": "lr 0.001, layers 2, steps 2000", "tags": [], "status": "completed", "parameters": 
        """ + ExperimentsEndpoints.ExampleParameters + """
        , "accuracy": 0.989, "testAccuracy": null, "loss": 0.034, "diverged": false, "stoppedEarly": false, "step": 2000, "durationSeconds": 21.4, "savedSeconds": 0, "error": null}],
         "moreExperiments": 1,
         "workers": [{"name": "worker-1", "attempts": 2, "firstAt": "2026-03-01T09:00:02+00:00", "lastAt": "2026-03-01T09:01:10+00:00", "host": "ip-10-0-0-5", "version": "0.1.0",
                      "torchEngine": "TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)", "jobEngine": "Hangfire 1.8.25"}],
         "versions": {"service": "0.1.0", "jobEngine": "Hangfire 1.8.25", "torchEngines": ["TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)"]},
         "commands": {"generate": "curl -s 'http://127.0.0.1:8080/api/models/01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d/experiments' ...",
                      "train": "dotnet run --project Training -- train --i 0.001 --j 2 --k 2000 --images DIR"}}
        """;

    public static void MapStudyReport(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/api/studies/{id:guid}/report", GetStudyReport).WithTags("Studies")
            .WithSummary("A study's report: a document for people, the same as JSON, or its experiments as CSV")
            .WithDescription(
                "html is one file that needs nothing else: it opens without a network, and prints on A4. It has the best parameters, charts, the most accurate 1,000 experiments, means " +
                "over seeds, and the commands that lead to the same once more. A study that is not finished has the report of how far it is.")
            .WithExamples(response: Example)
            .Produces<StudyReport>(StatusCodes.Status200OK, "application/json", "text/html", "text/csv")
            .Fails(400, 404);

    private static async Task<Results<ContentHttpResult, JsonHttpResult<StudyReport>, PushStreamHttpResult, ProblemHttpResult>> GetStudyReport(
        Guid id,
        ExperimentsDbContext db,
        IJobQueue queue,
        IOptions<SecurityOptions> security,
        TimeProvider time,
        HttpContext context,
        [Description("html (the default), json, or csv."), AllowedValues("html", "json", "csv", ErrorMessage = "format is html, json or csv.")] string format = "html",
        [Description("True for a file to be saved, not shown.")] bool download = false,
        CancellationToken cancellationToken = default)
    {
        if (format == "csv")
        {
            if (await db.Studies.Where(study => study.Id == id).Select(study => study.Name).SingleOrDefaultAsync(cancellationToken) is not { } name)
                return Problems.NotFound("study", id);
            Describe(context, name, format, download);
            var order = ExperimentOrder.Find("accuracy", descending: true, acrossModels: false)!;
            return TypedResults.Stream(
                stream => ExperimentsCsv.WriteAsync(db, db.Experiments.Where(experiment => experiment.StudyId == id), order, stream, cancellationToken), ExperimentsCsv.MediaType);
        }

        var service = ReportCommandLines.Service(context.Request.Scheme, context.Request.Host.Value);
        if (await new StudyReportReader(db, queue, security, time).ReadAsync(id, service, cancellationToken) is not var (report, rows))
            return Problems.NotFound("study", id);
        Describe(context, report.Name, format, download);
        if (format == "json")
            return TypedResults.Json(report);
        context.Response.Headers.ContentSecurityPolicy = StudyReportStyle.Policy;
        return TypedResults.Content(StudyReportPage.Render(report, rows), "text/html", Encoding.UTF8);
    }

    private static void Describe(HttpContext context, string name, string format, bool download)
    {
        var disposition = new ContentDispositionHeaderValue(download ? "attachment" : "inline");
        disposition.SetHttpFileName($"{FileName(name)}.{format}");
        context.Response.Headers.ContentDisposition = disposition.ToString();
    }

    /// <summary>The letters and digits of a study's name, of any script: what every file system takes.</summary>
    internal static string FileName(string name)
    {
        var words = string.Concat(name.Select(letter => char.IsLetterOrDigit(letter) ? char.ToLowerInvariant(letter) : ' ')).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var joined = string.Join('-', words);
        return $"study-{(joined.Length <= MaxFileNameLength ? joined : joined[..MaxFileNameLength])}".TrimEnd('-');
    }
}
