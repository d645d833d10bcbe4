using System.Text.RegularExpressions;
using Microsoft.Extensions.Primitives;
using Npgsql;

namespace MlExperiments.Api.Infrastructure;

/// <summary>A call that may be sent again with the same key, to get the same answer.</summary>
internal sealed record IdempotentCall;

/// <summary>
/// Lets a client that lost an answer send its request again: with the same <c>Idempotency-Key</c> it is carried out once, and each further time
/// answered as the first time (draft-ietf-httpapi-idempotency-key-header).
/// </summary>
internal static partial class Idempotency
{
    public const string Header = "Idempotency-Key";

    public const string Description =
        "A name for this request, 1 to 255 visible ASCII characters such as a UUID, in quotes or without. Sent again with the same key, path, query and body within " +
        "24 hours, the request is not carried out again but answered as the first time, with the header Idempotency-Replayed: true. With the same key and something else " +
        "in it, it is refused with 422, and while the first one is under way with 409. Answers of 408, 429 and 500 or more are not kept: send it again. Where the " +
        "service dies between the work and its answer, or a 503 says that the change may have been made, it may be carried out a second time.";

    private const string ReplayedHeader = "Idempotency-Replayed";
    private const int MaxKeyLength = 255;

    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    public static IServiceCollection AddIdempotency(this IServiceCollection services) => services.AddSingleton<IdempotencyKeys>();

    /// <summary>Declares that a call takes the header.</summary>
    public static TBuilder TakesIdempotencyKey<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new IdempotentCall()).Fails(StatusCodes.Status400BadRequest, StatusCodes.Status409Conflict, StatusCodes.Status422UnprocessableEntity);

    /// <summary>Comes before what makes errors of exceptions, whose answers it keeps, too.</summary>
    public static void UseIdempotency(this WebApplication app)
    {
        var keys = app.Services.GetRequiredService<IdempotencyKeys>();
        app.Use((context, next) =>
            context.GetEndpoint()?.Metadata.GetMetadata<IdempotentCall>() is not null && context.Request.Headers.TryGetValue(Header, out var given)
                ? AnswerAsync(context, next, keys, given, app.Logger)
                : next(context));
    }

    /// <summary>The key in a header: as it stands, or as a quoted string (RFC 8941, 3.3.3); null where it is none.</summary>
    internal static string? ReadKey(StringValues given)
    {
        if (given is not [{ } text])
            return null;
        if (text.StartsWith('"'))
            text = Quoted().IsMatch(text) ? Escaped().Replace(text[1..^1], "$1") : "";
        return text.Length is > 0 and <= MaxKeyLength && text.All(letter => letter is > ' ' and <= '~') ? text : null;
    }

    private static async Task AnswerAsync(HttpContext context, RequestDelegate next, IdempotencyKeys keys, StringValues given, ILogger logger)
    {
        if (ReadKey(given) is not { } key)
        {
            await Problems.Invalid(
                Header.ToLowerInvariant(), "Idempotency-Key is one key of 1 to 255 visible ASCII characters, such as a UUID, in quotes or without.").ExecuteAsync(context);
            return;
        }

        var path = context.Request.Path.Value!.TrimEnd('/').ToLowerInvariant();
        var request = new KeyedRequest(key, path, await RequestFingerprint.ReadAsync(context.Request, context.RequestAborted));
        switch (await keys.ReserveAsync(request, context.RequestAborted))
        {
            case (Reservation.Mine, _):
                await CarryOutAsync(context, next, keys, request, logger);
                break;
            case (Reservation.Answered, { } answer):
                await ReplayAsync(context, answer);
                break;
            case (Reservation.OfAnother, _):
                await TypedResults.Problem(
                    "This Idempotency-Key belongs to a request with another query or body: send that one again as it was, or take a new key.",
                    statusCode: StatusCodes.Status422UnprocessableEntity).ExecuteAsync(context);
                break;
            default:
                await Problems.Later(
                    context, StatusCodes.Status409Conflict, "The request with this Idempotency-Key is under way: send it again in a moment to get its answer.", LookAgain)
                    .ExecuteAsync(context);
                break;
        }
    }

    private static async Task CarryOutAsync(HttpContext context, RequestDelegate next, IdempotencyKeys keys, KeyedRequest request, ILogger logger)
    {
        var response = context.Response;
        var (body, aborted) = (response.Body, context.RequestAborted);
        using var written = new MemoryStream();
        using var ended = new CancellationTokenSource();
        var keeping = KeepAsync(keys, request, logger, ended.Token);
        response.Body = written;
        // A client that goes away comes back for the answer: there is to be one.
        context.RequestAborted = CancellationToken.None;
        StoredAnswer? answer = null;
        try
        {
            await next(context);
            await response.BodyWriter.FlushAsync(CancellationToken.None);
            if (response.StatusCode is not (>= 500 or StatusCodes.Status408RequestTimeout or StatusCodes.Status429TooManyRequests))
                answer = new StoredAnswer(response.StatusCode, response.ContentType, response.Headers.Location, written.Length == 0 ? null : written.ToArray());
        }
        finally
        {
            (response.Body, context.RequestAborted) = (body, aborted);
            await ended.CancelAsync();
            await keeping;
            await EndAsync(keys, request, answer, logger);
        }

        written.Position = 0;
        await written.CopyToAsync(body, aborted);
    }

    /// <param name="answer">Null where the request may be carried out again.</param>
    private static async Task EndAsync(IdempotencyKeys keys, KeyedRequest request, StoredAnswer? answer, ILogger logger)
    {
        try
        {
            if (answer is null)
                await keys.ReleaseAsync(request, CancellationToken.None);
            else
                await keys.AnswerAsync(request, answer, CancellationToken.None);
        }
        catch (NpgsqlException exception)
        {
            // The client has its answer; only if it asks again while the lease lasts, it is told to wait.
            LogNotKept(logger, request.Path, exception.Message);
        }
    }

    private static async Task KeepAsync(IdempotencyKeys keys, KeyedRequest request, ILogger logger, CancellationToken ended)
    {
        using var timer = new PeriodicTimer(IdempotencyKeys.RenewEvery);
        while (!ended.IsCancellationRequested)
        {
            try
            {
                while (await timer.WaitForNextTickAsync(ended))
                    await keys.RenewAsync(request, ended);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (NpgsqlException exception)
            {
                // The lease outlasts a few renewals that fail.
                LogNotKept(logger, request.Path, exception.Message);
            }
        }
    }

    private static async Task ReplayAsync(HttpContext context, StoredAnswer answer)
    {
        var response = context.Response;
        response.StatusCode = answer.Status;
        response.Headers[ReplayedHeader] = "true";
        if (answer.Location is not null)
            response.Headers.Location = answer.Location;
        if (answer.Body is null)
            return;
        response.ContentType = answer.ContentType;
        await response.Body.WriteAsync(answer.Body, context.RequestAborted);
    }

    [LoggerMessage(LogLevel.Warning, "The Idempotency-Key of a request to {Path} could not be kept: {Reason}")]
    private static partial void LogNotKept(ILogger logger, string path, string reason);

    [GeneratedRegex("""^"(?:[^"\\]|\\["\\])*"$""")]
    private static partial Regex Quoted();

    [GeneratedRegex("""\\(["\\])""")]
    private static partial Regex Escaped();
}
