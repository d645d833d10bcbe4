using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>Splits as people write them: in form fields, in folder names, in rows.</summary>
internal static class SplitWords
{
    /// <summary>What to say of any other word.</summary>
    public const string Problem = "split is train, validation or test.";

    /// <summary>The words to show; <see cref="TryParse"/> takes some more.</summary>
    public static IEnumerable<string> Names { get; } = [Splits.Train, Splits.Validation, Splits.Test];

    public static string Word(this ImageSplit split) => split switch
    {
        ImageSplit.Train => Splits.Train,
        ImageSplit.Validation => Splits.Validation,
        _ => Splits.Test,
    };

    /// <summary>Reads <c>train</c>, <c>validation</c> (also <c>valid</c>, <c>val</c>) or <c>test</c>, without regard to case.</summary>
    public static bool TryParse(string word, out ImageSplit split)
    {
        ImageSplit? parsed = word.Trim().ToLowerInvariant() switch
        {
            Splits.Train => ImageSplit.Train,
            Splits.Validation or "valid" or "val" => ImageSplit.Validation,
            Splits.Test => ImageSplit.Test,
            _ => null,
        };
        split = parsed.GetValueOrDefault();
        return parsed.HasValue;
    }
}
