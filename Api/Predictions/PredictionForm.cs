using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using MlExperiments.Api.Infrastructure;

namespace MlExperiments.Api.Predictions;

/// <summary>What a prediction sends as multipart/form-data.</summary>
public sealed record PredictForm
{
    /// <summary>The image to classify: PNG, JPEG, GIF, BMP or WebP, up to 32 MiB.</summary>
    public required IFormFile Image { get; init; }

    /// <summary>A completed experiment of the model to use instead of the best one.</summary>
    public Guid? ExperimentId { get; init; }
}

/// <summary>Reads a prediction's form field by field: what it does not know it refuses by name.</summary>
internal static class PredictionForms
{
    public const long MaxFileBytes = 32 * 1024 * 1024;

    /// <summary>With room for the other fields.</summary>
    public const long MaxBytes = MaxFileBytes + 65_536;

    private const string ImageField = "image";
    private const string ExperimentField = "experimentId";
    private const string HowTo = "Send the image as the form field image, as a file: with curl, -F image=@digit.png.";

    // What is longer than the threshold waits on disk.
    private static readonly FormOptions Limits = new()
    {
        MemoryBufferThreshold = 65_536, MultipartBodyLengthLimit = MaxBytes, ValueLengthLimit = 4096, KeyLengthLimit = 256, ValueCountLimit = 16,
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
        if (images.Count != 1)
            errors.TryAdd(ImageField, [images.Count > 1 ? $"A prediction is of one image; here are {images.Count}: send them one by one." : HowTo]);
        else if (images[0].Length > MaxFileBytes)
            errors.TryAdd(ImageField, ["The file is larger than 32 MiB."]);
        else if (form.ContainsKey(ImageField))
            errors.TryAdd(ImageField, ["The field image is there twice, once as text: send the file alone."]);
        if (form.Files.GetFiles(ExperimentField).Count > 0)
            errors.TryAdd(ExperimentField, ["experimentId is an id in a text field, not a file."]);

        Guid? experimentId = null;
        var ids = form[ExperimentField].Where(value => !string.IsNullOrWhiteSpace(value)).Distinct().ToList();
        if (ids.Count > 1)
            errors.TryAdd(ExperimentField, ["Give one experimentId."]);
        else if (ids is [{ } text] && !Guid.TryParse(text, out var parsed))
            errors.TryAdd(ExperimentField, ["experimentId is an id (a UUID); leave it out to use the best experiment."]);
        else if (ids.Count == 1)
            experimentId = Guid.Parse(ids[0]!);
        return errors.Count > 0 ? (null, Problems.Invalid(errors)) : (new PredictForm { Image = images[0], ExperimentId = experimentId }, null);
    }
}
