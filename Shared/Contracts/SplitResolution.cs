using System.Diagnostics.CodeAnalysis;
using MlExperiments.Shared.Data;

namespace MlExperiments.Shared.Contracts;

/// <summary>
/// From the splits that uploads name to those that training uses. Where no image is in the validation split, the training images that
/// <see cref="Splits.IsHeldOut"/> names are held out; if that is none of them, the one with the lowest hash is, and if it is all of
/// them, the one with the highest hash stays: both splits have an image, whoever computes it.
/// </summary>
public static class SplitResolution
{
    /// <param name="splits">For each image, in the given order.</param>
    /// <param name="reason">Where false: what is missing, as a sentence.</param>
    public static bool TryResolve(
        IReadOnlyList<ManifestImage> images,
        [NotNullWhen(true)] out ImageSplit[]? splits,
        [NotNullWhen(false)] out string? reason)
    {
        splits = null;
        reason = null;
        ImageSplit[] resolved = [.. images.Select(image => image.Split)];
        int[] train = [.. Enumerable.Range(0, images.Count).Where(at => resolved[at] == ImageSplit.Train)];
        if (train.Length == 0)
        {
            reason = "No image is in the train split: upload some for training.";
            return false;
        }

        if (!resolved.Contains(ImageSplit.Validation))
        {
            if (train.Length == 1)
            {
                reason = "There is only one image to train with, and none to validate with: upload at least two.";
                return false;
            }

            int[] heldOut = [.. train.Where(at => Splits.IsHeldOut(images[at].Sha256))];
            Array.Sort(train, (left, right) => images[left].Sha256.AsSpan().SequenceCompareTo(images[right].Sha256));
            if (heldOut.Length == 0)
                heldOut = [train[0]];
            else if (heldOut.Length == train.Length)
                heldOut = train[..^1];
            foreach (var at in heldOut)
                resolved[at] = ImageSplit.Validation;
        }

        splits = resolved;
        return true;
    }
}
