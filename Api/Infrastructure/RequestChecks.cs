using System.Reflection;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.Net.Http.Headers;

namespace MlExperiments.Api.Infrastructure;

/// <summary>Refuses what no handler sees: a part of the query that would be ignored, a character that no database stores, a charset that nobody reads.</summary>
internal static class RequestChecks
{
    /// <summary>The longest body of a call that takes JSON: bytes. Calls that take files have their own.</summary>
    public const long MaxJsonBytes = 1024 * 1024;

    private static readonly object HeadKey = new();

    public static void UseRequestChecks(this WebApplication app)
    {
        var known = new Lazy<Dictionary<MethodInfo, string[]>>(() => KnownKeys(app.Services.GetRequiredService<IApiDescriptionGroupCollectionProvider>()));
        app.Use((context, next) => Refusal(context, known) is { } refusal ? refusal.ExecuteAsync(context) : next(context));
    }

    /// <summary>
    /// After an answer that didn't need the body, the server reads on for up to five seconds, and with this beyond the call's limit too: who still sends when
    /// the connection is closed may never get to read the answer. A body that doesn't tell its length and is found too long on the way is cut off.
    /// </summary>
    public static void UseReadingOn(this WebApplication app) => app.Use((context, next) =>
    {
        context.Response.OnStarting(() =>
        {
            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
                limit.MaxRequestBodySize = null;
            return Task.CompletedTask;
        });
        return next(context);
    });

    /// <summary>Answers HEAD as GET, but for the body, which the server leaves out by itself.</summary>
    public static void UseHead(this WebApplication app) => app.Use((context, next) =>
    {
        if (HttpMethods.IsHead(context.Request.Method))
        {
            context.Request.Method = HttpMethods.Get;
            context.Items[HeadKey] = true;
        }

        return next(context);
    });

    /// <summary>Whether the body goes nowhere: for answers that never end.</summary>
    public static bool IsHead(this HttpContext context) => context.Items.ContainsKey(HeadKey);

    private static IResult? Refusal(HttpContext context, Lazy<Dictionary<MethodInfo, string[]>> known)
    {
        var request = context.Request;
        if (MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.Charset.HasValue && !IsKnown(type.Charset.Value))
            return TypedResults.Problem(
                $"The charset {type.Charset} of the Content-Type is not known here: send UTF-8.", statusCode: StatusCodes.Status415UnsupportedMediaType);
        if (context.GetEndpoint()?.Metadata.GetMetadata<MethodInfo>() is not { } handler || !known.Value.TryGetValue(handler, out var keys))
            return null;

        var errors = new Dictionary<string, string[]>();
        foreach (var (key, values) in request.Query)
        {
            if (!keys.Contains(key, StringComparer.OrdinalIgnoreCase))
                errors[key] = [$"This is not known here: in its query, this call takes {(keys.Length == 0 ? "nothing" : string.Join(", ", keys))}."];
            else if (values.Any(value => value?.Contains('\0', StringComparison.Ordinal) == true))
                errors[key] = ["The value has a NUL character, which nothing here contains."];
        }

        return errors.Count == 0 ? null : Problems.Invalid(errors);
    }

    private static bool IsKnown(string charset)
    {
        try
        {
            _ = Encoding.GetEncoding(charset.Trim('"'));
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static Dictionary<MethodInfo, string[]> KnownKeys(IApiDescriptionGroupCollectionProvider descriptions) =>
        descriptions.ApiDescriptionGroups.Items.SelectMany(group => group.Items)
            // Probes may add what they like, to get past a cache.
            .Where(description => description.RelativePath?.StartsWith("api/", StringComparison.Ordinal) == true)
            .Select(description => (Handler: description.ActionDescriptor.EndpointMetadata.OfType<MethodInfo>().First(), description.ParameterDescriptions))
            .DistinctBy(entry => entry.Handler)
            .ToDictionary(
                entry => entry.Handler,
                entry => entry.ParameterDescriptions.Where(parameter => parameter.Source == BindingSource.Query).Select(parameter => parameter.Name).ToArray());
}
