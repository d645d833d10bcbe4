using System.Globalization;
using System.Text;
using Npgsql;

namespace MlExperiments.Api.Infrastructure;

/// <summary>Names and labels: what people read, can tell apart, and every database stores.</summary>
internal static class Texts
{
    /// <summary>Below it, every text is in normal form C already.</summary>
    private const char FirstNotNormal = '\u0300';

    // Blank although Unicode counts them among letters and symbols.
    private static readonly int[] Blanks = [0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0];

    /// <summary>What is wrong with a trimmed text, as a phrase such as <c>1 to 200 characters</c> that says what it must have; null where nothing is.</summary>
    /// <param name="maxLength">In code points, as the database counts.</param>
    /// <param name="lines">Whether it may have line breaks, and tabs with them.</param>
    public static string? Problem(string text, int maxLength, bool lines = false)
    {
        var (length, isVisible) = (0, false);
        for (var at = 0; at < text.Length; length++)
        {
            if (!Rune.TryGetRuneAt(text, at, out var rune))
                return "no half characters (lone surrogates)";
            if (IsForbidden(rune) && !(lines && rune.Value is '\n' or '\r' or '\t'))
                return lines ? "no control characters but line breaks" : "no line breaks or other control characters";
            isVisible |= IsVisible(rune);
            at += rune.Utf16SequenceLength;
        }

        return !isVisible ? "at least one visible character" : length > maxLength ? $"at most {maxLength} characters" : null;
    }

    /// <summary>
    /// Unicode's normal form C, so that é is the same text whichever way it was typed. By the database: without ICU, .NET leaves every text as it is.
    /// </summary>
    public static async Task<string> NormalizeAsync(NpgsqlDataSource database, string text, CancellationToken cancellationToken)
    {
        if (text.All(letter => letter < FirstNotNormal))
            return text;
        await using var command = database.CreateCommand("SELECT normalize($1, NFC)");
        command.Parameters.AddWithValue(text);
        return (string)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    // The directional ones make a text read as another, and noncharacters are promised to mean nothing.
    private static bool IsForbidden(Rune rune) =>
        Rune.IsControl(rune)
        || rune.Value is 0x061C or 0x200E or 0x200F or (>= 0x2028 and <= 0x202E) or (>= 0x2066 and <= 0x2069)
        || rune.Value is >= 0xFDD0 and <= 0xFDEF
        || (rune.Value & 0xFFFE) == 0xFFFE;

    private static bool IsVisible(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.SpaceSeparator or UnicodeCategory.Format or UnicodeCategory.NonSpacingMark
            or UnicodeCategory.EnclosingMark or UnicodeCategory.OtherNotAssigned)
        && !Blanks.Contains(rune.Value);
}
