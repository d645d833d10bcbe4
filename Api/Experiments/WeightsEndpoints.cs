using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Microsoft.Net.Http.Headers;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Onnx;

namespace MlExperiments.Api.Experiments;

/// <summary>An experiment's trained weights, as they are stored or in ONNX.</summary>
internal static partial class WeightsEndpoints
{
    private const string MediaType = "application/octet-stream";

    public static void MapWeights(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/api/experiments/{id:guid}/weights", GetWeights)
            .WithTags("Experiments")
            .WithSummary("The trained weights: a safetensors file, which PyTorch loads, or the network with them as an ONNX file")
            .WithDescription(
                "Completed experiments have them. Ranges and ETags work in both formats, so that a download that was cut off goes on. The ONNX file (opset 13) is there for the architecture cnn. " +
                "It takes images, float32 [n, c, h, w] of any n, whose values are pixels divided by 255, and gives logits and probabilities, float32 [n, classes]; its metadata names the classes, in order.")
            .WithExamples()
            .Produces<Stream>(StatusCodes.Status200OK, MediaType)
            .Produces<Stream>(StatusCodes.Status206PartialContent, MediaType)
            .Produces(StatusCodes.Status304NotModified)
            .Produces(StatusCodes.Status416RangeNotSatisfiable)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The experiment is running: it has weights once it is completed."}""")
            .Fails(400, 404, 409, 410);

    private static async Task<Results<FileStreamHttpResult, ValidationProblem, ProblemHttpResult>> GetWeights(
        Guid id,
        ExperimentsDbContext db,
        IBlobStore blobs,
        HttpContext context,
        ILoggerFactory loggers,
        [Description("safetensors (the default), or onnx, for the architecture cnn."), AllowedValues("safetensors", "onnx", ErrorMessage = "format is safetensors or onnx.")] string format = "safetensors",
        CancellationToken cancellationToken = default)
    {
        var experiment = await db.Experiments.Where(candidate => candidate.Id == id)
            .Select(candidate => new { candidate.Status, candidate.Number, candidate.Parameters, candidate.WeightsBlob, candidate.FinishedAt })
            .SingleOrDefaultAsync(cancellationToken);
        if (experiment is null)
            return Problems.NotFound("experiment", id);
        if (format == "onnx" && ExperimentRows.ReadParameters(experiment.Parameters).Architecture is var architecture and not OnnxModel.Architecture)
            return Problems.Invalid("format", $"Only experiments of the architecture {OnnxModel.Architecture} can be had as ONNX, and this one's is {architecture}: take safetensors.");
        if (experiment.WeightsBlob is not { } blob)
            return Problems.Conflict($"The experiment is {StatusCounts.Name(experiment.Status)}: it has weights once it is completed.");

        if (context.IsHead())
        {
            // What it says of itself is all that is asked for; nothing is read, and ranges are for GET.
            context.Request.Method = HttpMethods.Head;
            context.Request.Headers.Range = default;
        }

        if (format == "safetensors")
            return File(await blobs.OpenReadAsync(blob, 0, null, cancellationToken), blob, experiment.FinishedAt);
        var path = await blobs.GetPathAsync(blob, cancellationToken);
        try
        {
            var onnx = OnnxModel.Open(path, id);
            // No date says which bytes they are: other versions of the service may make others. Who goes by one gets the whole.
            if (context.Request.Headers.IfRange.Count > 0 && context.Request.GetTypedHeaders().IfRange?.EntityTag is null)
                context.Request.Headers.Range = default;
            return File(onnx, $"{blob}-{onnx.Tag}", lastModified: null);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BlobNotFoundException(blob);
        }
        catch (InvalidDataException exception)
        {
            LogDamaged(loggers.CreateLogger(typeof(WeightsEndpoints)), exception, id, blob);
            var reason = exception.Message.Replace($"{path}: ", "", StringComparison.Ordinal);
            return TypedResults.Problem($"Its weights are damaged: restore the blob {blob} from a backup. {reason}", statusCode: StatusCodes.Status410Gone);
        }

        FileStreamHttpResult File(Stream content, string tag, DateTimeOffset? lastModified) => TypedResults.Stream(
            content,
            MediaType,
            $"experiment-{experiment.Number}.{format}",
            lastModified,
            new EntityTagHeaderValue($"\"{tag}\""),
            enableRangeProcessing: true);
    }

    [LoggerMessage(LogLevel.Error, "The weights of experiment {Experiment} are damaged, in the blob {Blob}")]
    private static partial void LogDamaged(ILogger logger, Exception exception, Guid experiment, string blob);
}
