using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;

namespace MlExperiments.Api.Infrastructure;

/// <summary>What a request can run into outside its handler: a body that can't be read, a database that is away, a mistake of ours.</summary>
internal sealed partial class ExceptionProblems(ILogger<ExceptionProblems> logger) : IExceptionHandler
{
    private static readonly TimeSpan DatabaseRetry = TimeSpan.FromSeconds(5);

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
            result = ForRequest(bad);
        }
        else if (DatabaseErrors.IsUnavailable(exception))
        {
            LogUnavailable(httpContext.Request.Method, httpContext.Request.Path, DatabaseErrors.Reason(exception));
            result = Problems.Unavailable(
                httpContext, "The database can't be reached at the moment. Nothing was changed; try again in a few seconds.", DatabaseRetry);
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

    private static IResult ForRequest(BadHttpRequestException exception)
    {
        if (exception.InnerException is JsonException json)
            return ForJson(json);
        if (Unbound().Match(exception.Message) is { Success: true } unbound)
            return Problems.Invalid(
                JsonNamingPolicy.CamelCase.ConvertName(unbound.Groups["name"].Value),
                $"\"{unbound.Groups["value"].Value}\" is not {TypeInWords(unbound.Groups["type"].Value)}.");
        if (exception.StatusCode == StatusCodes.Status400BadRequest && Missing().Match(exception.Message) is { Success: true } missing)
            return missing.Groups["source"].Value.Contains("body", StringComparison.Ordinal)
                ? TypedResults.Problem("This call needs a body; /swagger has one to start from.", statusCode: exception.StatusCode)
                : Problems.Invalid(JsonNamingPolicy.CamelCase.ConvertName(missing.Groups["name"].Value), "This parameter is required.");
        var detail = exception.StatusCode switch
        {
            StatusCodes.Status415UnsupportedMediaType => $"{exception.Message.TrimEnd('.')}. Send the body with the content type that /swagger shows for this call.",
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
        return TypedResults.Problem(
            $"The body is not valid JSON (line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}): {exception.Message.Split(" Path:")[0]} Mend it there and send it again.",
            statusCode: StatusCodes.Status400BadRequest);
    }

    private static string TypeInWords(string type) => type.TrimEnd('?').Split('.')[^1].TrimEnd('?', ']') switch
    {
        "Int32" or "int" or "Int64" or "long" => "a whole number in range",
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

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    private partial void LogUnexpected(Exception exception, string method, string path);
}
