using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;

namespace MlExperiments.Api.Infrastructure;

/// <summary>Every error is an RFC 9457 problem that says what happened and what to do.</summary>
internal static class Problems
{
    public static IServiceCollection AddProblems(this IServiceCollection services)
    {
        services.AddProblemDetails(options => options.CustomizeProblemDetails = context =>
        {
            // The validator names members as C# does; the caller knows them as JSON does.
            if (context.ProblemDetails is not HttpValidationProblemDetails validation)
                return;
            validation.Errors = validation.Errors.ToDictionary(error => CamelCase(error.Key), error => error.Value);
            validation.Detail ??= InvalidDetail(validation.Errors);
        });
        services.AddValidation();
        services.AddExceptionHandler<ExceptionProblems>();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        return services;
    }

    public static void UseProblems(this WebApplication app)
    {
        app.UseExceptionHandler();
        app.UseStatusCodePages(context => ForStatus(context.HttpContext).ExecuteAsync(context.HttpContext));
    }

    public static ProblemHttpResult NotFound(string kind, Guid id) =>
        TypedResults.Problem($"There is no {kind} {id}; it may have been deleted.", statusCode: StatusCodes.Status404NotFound);

    public static ProblemHttpResult Conflict(string detail) => TypedResults.Problem(detail, statusCode: StatusCodes.Status409Conflict);

    public static ValidationProblem Invalid(string field, string message) => Invalid(new Dictionary<string, string[]> { [field] = [message] });

    public static ValidationProblem Invalid(IDictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors, InvalidDetail(errors));

    public static ProblemHttpResult Unavailable(HttpContext context, string detail, TimeSpan retryAfter) =>
        Later(context, StatusCodes.Status503ServiceUnavailable, detail, retryAfter);

    public static ProblemHttpResult TooMany(HttpContext context, string detail, TimeSpan retryAfter) =>
        Later(context, StatusCodes.Status429TooManyRequests, detail, retryAfter);

    /// <summary>The first error in the detail, for those who only read that.</summary>
    private static string InvalidDetail(IDictionary<string, string[]> errors) =>
        errors.Count == 1 ? errors.Values.First()[0] : $"{errors.Count} fields are wrong; see errors.";

    private static ProblemHttpResult Later(HttpContext context, int status, string detail, TimeSpan retryAfter)
    {
        context.Response.Headers.RetryAfter = ((int)Math.Ceiling(retryAfter.TotalSeconds)).ToString();
        return TypedResults.Problem(detail, statusCode: status);
    }

    /// <summary>A status that was set without a body: by routing, by a limit, by a filter.</summary>
    private static ProblemHttpResult ForStatus(HttpContext context)
    {
        var request = context.Request;
        var detail = context.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound =>
                $"There is nothing at {request.Path}. Ids are UUIDs, as lists and Location headers give them; /swagger shows every address.",
            StatusCodes.Status405MethodNotAllowed =>
                $"{request.Path} does not take {request.Method}; it takes {context.Response.Headers.Allow}.",
            StatusCodes.Status415UnsupportedMediaType =>
                $"The body's content type is {request.ContentType ?? "not given"}; /swagger shows the one that this call takes (mostly application/json).",
            StatusCodes.Status413PayloadTooLarge => "The body is larger than this call takes.",
            _ => null,
        };
        return TypedResults.Problem(detail, statusCode: context.Response.StatusCode);
    }

    /// <summary><c>InputSize.Width</c> to <c>inputSize.width</c>.</summary>
    private static string CamelCase(string path) =>
        string.Join('.', path.Split('.').Select(JsonNamingPolicy.CamelCase.ConvertName));
}
