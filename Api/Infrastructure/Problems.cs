using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;

namespace MlExperiments.Api.Infrastructure;

/// <summary>Every error is an RFC 9457 problem that says what happened and what to do.</summary>
internal static class Problems
{
    /// <summary>What <see cref="Archived"/> looks like, for the documentation.</summary>
    public const string ArchivedExample = """
        {"title": "Conflict", "status": 409, "detail": "The model is archived: it keeps what it has. Unarchive it first: PATCH /api/models/01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d with {\"archived\": false}."}
        """;

    private const int MaxErrors = 20;

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

    /// <summary>For whatever would change what an archived model holds or have it trained.</summary>
    public static ProblemHttpResult Archived(Guid id) =>
        Conflict($"The model is archived: it keeps what it has. Unarchive it first: PATCH /api/models/{id} with {{\"archived\": false}}.");

    public static ProblemHttpResult Conflict(string detail) => TypedResults.Problem(detail, statusCode: StatusCodes.Status409Conflict);

    public static ValidationProblem Invalid(string field, string message) => Invalid(new Dictionary<string, string[]> { [field] = [message] });

    /// <summary>Names the first <see cref="MaxErrors"/>: whoever has more is helped as much by these.</summary>
    public static ValidationProblem Invalid(IDictionary<string, string[]> errors) =>
        TypedResults.ValidationProblem(errors.Take(MaxErrors).ToDictionary(), InvalidDetail(errors));

    public static ProblemHttpResult Unavailable(HttpContext context, string detail, TimeSpan retryAfter) =>
        Later(context, StatusCodes.Status503ServiceUnavailable, detail, retryAfter);

    public static ProblemHttpResult TooMany(HttpContext context, string detail, TimeSpan retryAfter) =>
        Later(context, StatusCodes.Status429TooManyRequests, detail, retryAfter);

    /// <summary>The first error in the detail, for those who only read that.</summary>
    private static string InvalidDetail(IDictionary<string, string[]> errors) =>
        errors.Count switch
        {
            1 when errors.Values.First() is [var first, _, ..] all => $"{first} And {all.Length - 1} more; see errors.",
            1 => errors.Values.First()[0],
            > MaxErrors => $"{errors.Count} fields are wrong; errors names the first {MaxErrors}.",
            _ => $"{errors.Count} fields are wrong; see errors.",
        };

    public static ProblemHttpResult Later(HttpContext context, int status, string detail, TimeSpan retryAfter)
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
                // By routing, which knows only calls that take JSON; those that take a form say so themselves.
                $"The body's content type is {request.ContentType ?? "not given"}; this call takes application/json.",
            StatusCodes.Status413PayloadTooLarge => TooLarge(context),
            _ => null,
        };
        return TypedResults.Problem(detail, statusCode: context.Response.StatusCode);
    }

    /// <summary>For a call that takes a form and got something else.</summary>
    public static ProblemHttpResult NoForm(HttpRequest request) => TypedResults.Problem(
        $"The body's content type is {request.ContentType ?? "not given"}; this call takes multipart/form-data, as curl sends it with -F.",
        statusCode: StatusCodes.Status415UnsupportedMediaType);

    /// <summary>For a body beyond the call's limit.</summary>
    public static string TooLarge(HttpContext context) =>
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize is { } limit
            ? $"The body is longer than the {limit} bytes that this call takes: send less, in several calls."
            : "The body is longer than this call takes: send less, in several calls.";

    /// <summary><c>InputSize.Width</c> to <c>inputSize.width</c>.</summary>
    private static string CamelCase(string path) =>
        string.Join('.', path.Split('.').Select(JsonNamingPolicy.CamelCase.ConvertName));
}
