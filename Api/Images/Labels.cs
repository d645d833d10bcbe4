using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>Texts that come with images, made fit to be stored.</summary>
internal static class Labels
{
    /// <summary>What is wrong with a trimmed label, as a sentence; null where nothing is.</summary>
    public static string? Problem(string label)
    {
        return Texts.Problem(label, Image.MaxLabelLength) is { } problem ? $"A label has {problem}." : null;
    }

    /// <summary>A file name, cut to its end where it is too long; what no database stores becomes an underscore.</summary>
    public static string FileName(string name)
    {
        if (name.Length > Image.MaxFileNameLength)
            name = name[^Image.MaxFileNameLength..];
        return IsText(name) ? name : string.Concat(name.Select(letter => char.IsControl(letter) || char.IsSurrogate(letter) ? '_' : letter));
    }

    private static bool IsText(string text)
    {
        for (var at = 0; at < text.Length; at++)
        {
            if (char.IsControl(text[at]))
                return false;
            if (!char.IsSurrogate(text[at]))
                continue;
            if (!char.IsSurrogatePair(text, at))
                return false;
            at++;
        }

        return true;
    }
}
