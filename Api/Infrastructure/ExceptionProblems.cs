using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;
using MlExperiments.Shared.Blobs;

namespace MlExperiments.Api.Infrastructure;

/// <summary>What an endpoint has done when it is interrupted, and what to do then, as a sentence; without it, nothing.</summary>
internal sealed record LeavesBehind(string Sentence);

/// <summary>What a request can run into outside its handler: a body that can't be read, a database that is away, a mistake of ours.</summary>
internal sealed partial class ExceptionProblems(ILogger<ExceptionProblems> logger) : IExceptionHandler
{
    private const string NeedsBody = "This call needs a body; /swagger has one to start from.";

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (httpContext.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to answer; the status is for the access log.
            httpContext.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            return true;
        }

        IResult result;
        if (exception is BadHttpRequestException bad)
        {
            result = ForRequest(httpContext, bad);
        }
        else if (DatabaseErrors.IsUnavailable(exception))
        {
            LogUnavailable(httpContext.Request.Method, httpContext.Request.Path, DatabaseErrors.Reason(exception));
            var done = DatabaseErrors.IsInDoubt(exception)
                ? "It went away at the very end, so that the change may have been made: look before you try again."
                : EndpointOf(httpContext)?.Metadata.GetMetadata<LeavesBehind>()?.Sentence ?? "Nothing was changed; try again in a few seconds.";
            result = Problems.Unavailable(httpContext, $"The database can't be reached at the moment. {done}", RetryAfter);
        }
        else if (exception is BlobNotFoundException)
        {
            LogGone(httpContext.Request.Method, httpContext.Request.Path, exception.Message);
            result = TypedResults.Problem(
                "It is recorded, but its file is gone from the blob store: restore it from a backup.", statusCode: StatusCodes.Status410Gone);
        }
        else if (exception is IOException or UnauthorizedAccessException && StorageErrors.Sentence(exception) is (var status, var sentence))
        {
            LogStorage(httpContext.Request.Method, httpContext.Request.Path, exception.Message);
            result = Problems.Later(httpContext, status, sentence, RetryAfter);
        }
        else
        {
            LogUnexpected(exception, httpContext.Request.Method, httpContext.Request.Path);
            result = TypedResults.Problem(
                "This is a mistake in the service, not in the request; the server's log has the details under this traceId.",
                statusCode: StatusCodes.Status500InternalServerError);
        }

        await result.ExecuteAsync(httpContext);
        return true;
    }

    // The handler's own: the context has none any more.
    private static Endpoint? EndpointOf(HttpContext context) => context.Features.Get<IExceptionHandlerFeature>()?.Endpoint;

    private static IResult ForRequest(HttpContext context, BadHttpRequestException exception)
    {
        if (exception.InnerException is JsonException json)
            return ForJson(json);
        if (Unbound().Match(exception.Message) is { Success: true } unbound)
        {
            var name = JsonNamingPolicy.CamelCase.ConvertName(unbound.Groups["name"].Value);
            var range = RangeOf(EndpointOf(context), name) is { } limits ? $" from {limits.Minimum} to {limits.Maximum}" : "";
            return Problems.Invalid(name, $"\"{unbound.Groups["value"].Value}\" is not {TypeInWords(unbound.Groups["type"].Value)}{range}.");
        }

        if (exception.Message.StartsWith("Implicit body inferred", StringComparison.Ordinal))
            return TypedResults.Problem(NeedsBody, statusCode: exception.StatusCode);
        if (exception.StatusCode == StatusCodes.Status400BadRequest && Missing().Match(exception.Message) is { Success: true } missing)
            return missing.Groups["source"].Value.Contains("body", StringComparison.Ordinal)
                ? TypedResults.Problem(NeedsBody, statusCode: exception.StatusCode)
                : Problems.Invalid(JsonNamingPolicy.CamelCase.ConvertName(missing.Groups["name"].Value), "This is required.");
        var detail = exception.StatusCode switch
        {
            StatusCodes.Status415UnsupportedMediaType =>
                $"The body's content type is {context.Request.ContentType ?? "not given"}; this call takes application/json.",
            StatusCodes.Status413PayloadTooLarge => Problems.TooLarge(context),
            _ => exception.Message,
        };
        return TypedResults.Problem(detail, statusCode: exception.StatusCode);
    }

    private static IResult ForJson(JsonException exception)
    {
        var path = exception.Path is { } full && full.StartsWith("$.", StringComparison.Ordinal) ? full[2..] : null;
        if (Unmapped().Match(exception.Message) is { Success: true } unmapped)
        {
            var name = unmapped.Groups["name"].Value;
            return Problems.Invalid(path is null ? name : path, $"\"{name}\" is not known here; /swagger lists what this call takes.");
        }

        if (Duplicate().Match(exception.Message) is { Success: true } duplicate)
            return Problems.Invalid(path ?? duplicate.Groups["name"].Value, $"\"{duplicate.Groups["name"].Value}\" is there twice: keep one.");
        if (Unconvertible().Match(exception.Message) is { Success: true } unconvertible && path is not null)
            return Problems.Invalid(path, $"The value is not {TypeInWords(unconvertible.Groups["type"].Value)}.");
        if (Unconvertible().IsMatch(exception.Message))
            return TypedResults.Problem(
                "The body is JSON, but not the object, {...}, that this call takes; /swagger has one to start from.", statusCode: StatusCodes.Status400BadRequest);
        return TypedResults.Problem(
            $"The body is not valid JSON (line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}): {exception.Message.Split(" Path:")[0]} Mend it there and send it again.",
            statusCode: StatusCodes.Status400BadRequest);
    }

    private static RangeAttribute? RangeOf(Endpoint? endpoint, string name)
    {
        var parameters = endpoint?.Metadata.GetMetadata<MethodInfo>()?.GetParameters() ?? [];
        return parameters.FirstOrDefault(parameter => parameter.Name == name)?.GetCustomAttribute<RangeAttribute>()
            ?? parameters.Where(parameter => parameter.IsDefined(typeof(AsParametersAttribute)))
                .Select(parameter => parameter.ParameterType.GetProperty(name, BindingFlags.IgnoreCase | BindingFlags.Public | BindingFlags.Instance))
                .FirstOrDefault(property => property is not null)?.GetCustomAttribute<RangeAttribute>();
    }

    private static string TypeInWords(string type) => type.Replace("Nullable<", "", StringComparison.Ordinal).TrimEnd('?', '>').Split('.')[^1].TrimEnd('?', ']', '>') switch
    {
        "Int32" or "int" or "Int64" or "long" => "a whole number",
        "Double" or "double" => "a number",
        "Boolean" or "bool" => "true or false",
        "String" or "string" => "a string",
        "Guid" => "an id (a UUID)",
        _ => "of the kind that this field takes; /swagger shows it",
    };

    [GeneratedRegex("""^Failed to bind parameter "(?<type>\S+) (?<name>\w+)" from "(?<value>.*)"\.$""")]
    private static partial Regex Unbound();

    [GeneratedRegex("""^Required parameter "(?<type>\S+) (?<name>\w+)" was not provided from (?<source>.*)\.$""")]
    private static partial Regex Missing();

    [GeneratedRegex("^The JSON property '(?<name>.*)' could not be mapped to any \\.NET member")]
    private static partial Regex Unmapped();

    [GeneratedRegex("^Duplicate property '(?<name>.*)' encountered")]
    private static partial Regex Duplicate();

    [GeneratedRegex(@"^The JSON value could not be converted to (?<type>\S+)\.")]
    private static partial Regex Unconvertible();

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Method} {Path}: the database can't be reached: {Reason}")]
    private partial void LogUnavailable(string method, string path, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path}: {Reason}")]
    private partial void LogGone(string method, string path, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path}: the storage can't be used: {Reason}")]
    private partial void LogStorage(string method, string path, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    private partial void LogUnexpected(Exception exception, string method, string path);
}
