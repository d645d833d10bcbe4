using System.Text.RegularExpressions;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>
/// What an IDX file's name says, in the way of <c>train-images-idx3-ubyte.gz</c>: images or labels, and of which set. Others put more before it
/// (<c>emnist-letters-test-labels-idx1-ubyte.gz</c>) or write dots for hyphens.
/// </summary>
/// <param name="Set">What stands before images or labels: the same for the two files of a pair.</param>
/// <param name="Split">The split that the set is named for; null where it is another word.</param>
/// <param name="Partner">What the other file of the pair is called.</param>
internal sealed partial record IdxName(string Set, bool HasImages, ImageSplit? Split, string Partner)
{
    /// <summary>Null for the name of any other file.</summary>
    public static IdxName? TryParse(string fileName)
    {
        if (Pattern().Match(fileName) is not { Success: true } match)
            return null;
        var (set, word) = (match.Groups["set"].Value, match.Groups["word"].Value);
        var hasImages = match.Groups["images"].Success;
        var rest = fileName[set.Length..];
        return new IdxName(
            set.ToUpperInvariant(),
            hasImages,
            // MNIST's test set is named for its ten thousand images.
            word.Equals("t10k", StringComparison.OrdinalIgnoreCase) ? ImageSplit.Test : SplitWords.TryParse(word, out var split) ? split : null,
            set + (hasImages ? Replace("images", "labels", "idx3", "idx1") : Replace("labels", "images", "idx1", "idx3")));

        string Replace(string kind, string otherKind, string dimensions, string otherDimensions) => rest
            .Replace(kind, otherKind, StringComparison.OrdinalIgnoreCase).Replace(dimensions, otherDimensions, StringComparison.OrdinalIgnoreCase);
    }

    [GeneratedRegex(
        @"^(?<set>(.*[-_./\\ ])?(?<word>[^-_./\\ ]+))[-.]((?<images>images)[-.]idx3|labels[-.]idx1)-ubyte(\.gz)?$",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
