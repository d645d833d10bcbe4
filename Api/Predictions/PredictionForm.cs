using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;

namespace MlExperiments.Api.Predictions;

/// <summary>What a prediction sends as multipart/form-data.</summary>
public sealed record PredictForm
{
    /// <summary>The image to classify, or several, 100 at most: PNG, JPEG, GIF, BMP or WebP, each up to 32 MiB, together up to 64 MiB.</summary>
    public required IReadOnlyList<IFormFile> Image { get; init; }

    /// <summary>A completed experiment of the model to use instead of its predictor.</summary>
    public Guid? ExperimentId { get; init; }
}

/// <summary>Reads a prediction's form field by field: what it does not know it refuses by name.</summary>
internal static class PredictionForms
{
    public const int MaxImages = 100;
    public const long MaxFileBytes = 32 * 1024 * 1024;

    /// <summary>With room for the other fields.</summary>
    public const long MaxBytes = 64 * 1024 * 1024 + 131_072;

    private const string ImageField = "image";
    private const string ExperimentField = "experimentId";
    private const string HowTo = "Send the image as the form field image, as a file: with curl, -F image=@digit.png.";

    // What is longer than the threshold waits on disk.
    private static readonly FormOptions Limits = new()
    {
        MemoryBufferThreshold = 65_536, MultipartBodyLengthLimit = MaxBytes, ValueLengthLimit = 4096, KeyLengthLimit = 256, ValueCountLimit = 1024,
    };

    /// <returns>The form, or else the answer that says what is wrong with it.</returns>
    public static async Task<(PredictForm? Form, IResult? Refusal)> ReadAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var request = context.Request;
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
            return (null, Problems.NoForm(request));
        IFormCollection form;
        try
        {
            form = await request.ReadFormAsync(Limits, cancellationToken);
        }
        catch (Exception exception) when (FormErrors.IsUnreadable(exception))
        {
            return (null, TypedResults.Problem(FormErrors.Sentence(exception), statusCode: StatusCodes.Status400BadRequest));
        }

        var errors = new Dictionary<string, string[]>();
        foreach (var name in form.Keys.Concat(form.Files.Select(file => file.Name)).Where(name => name is not (ImageField or ExperimentField)).Distinct())
            errors[name.Length == 0 ? ImageField : name] = [name.Length == 0
                ? "A part of the form has no name: name it image or experimentId."
                : $"The field \"{name}\" is not known here; a prediction has image and experimentId."];
        var images = form.Files.GetFiles(ImageField);
        if (images.Count is 0 or > MaxImages)
            errors.TryAdd(ImageField, [images.Count == 0 ? HowTo : $"These are {images.Count} images; at most {MaxImages} are taken: send them in several calls."]);
        else if (images.Where(image => image.Length > MaxFileBytes).ToList() is { Count: > 0 } large)
            errors.TryAdd(ImageField, [.. large.Select(image => $"{InWords(image, images.Count)} is larger than 32 MiB.")]);
        else if (form.ContainsKey(ImageField))
            errors.TryAdd(ImageField, ["The field image is there as text too: send files alone."]);
        if (form.Files.GetFiles(ExperimentField).Count > 0)
            errors.TryAdd(ExperimentField, ["experimentId is an id in a text field, not a file."]);

        Guid? experimentId = null;
        var ids = form[ExperimentField].Where(value => !string.IsNullOrWhiteSpace(value)).Distinct().ToList();
        if (ids.Count > 1)
            errors.TryAdd(ExperimentField, ["Give one experimentId."]);
        else if (ids is [{ } text] && !Guid.TryParse(text, out var parsed))
            errors.TryAdd(ExperimentField, ["experimentId is an id (a UUID); leave it out to use the model's predictor."]);
        else if (ids.Count == 1)
            experimentId = Guid.Parse(ids[0]!);
        return errors.Count > 0 ? (null, Problems.Invalid(errors)) : (new PredictForm { Image = images, ExperimentId = experimentId }, null);
    }

    /// <summary>An image as errors call it: by its name, where it is one of several.</summary>
    public static string InWords(IFormFile image, int count) => count == 1 ? "The image" : $"\"{Labels.FileName(image.FileName)}\"";
}
