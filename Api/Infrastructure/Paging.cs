using System.Buffers.Text;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace MlExperiments.Api.Infrastructure;

/// <summary>Which part of a list is asked for.</summary>
public sealed class PageQuery
{
    public const int DefaultLimit = 50;
    public const int MaxLimit = 500;

    [FromQuery(Name = "limit"), Range(1, MaxLimit, ErrorMessage = "limit is 1 to 500."), DefaultValue(DefaultLimit)]
    [Description("How many items at most, 1 to 500.")]
    public int? Limit { get; init; }

    [FromQuery(Name = "cursor")]
    [Description("Where to go on: nextCursor of the page before, with the same filters and order.")]
    public string? Cursor { get; init; }

    internal int Size => Limit ?? DefaultLimit;
}

/// <summary>A part of a list.</summary>
/// <param name="Items">In the list's order.</param>
/// <param name="NextCursor">What to send as <c>cursor</c> for the next page; null on the last one.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor);

internal static class Pages
{
    /// <summary>Makes a page of the items and the one after them, which only tells that there are more.</summary>
    public static Page<T> Cut<T, TPosition>(IReadOnlyList<T> items, PageQuery page, string list, Func<T, TPosition> position) =>
        items.Count <= page.Size
            ? new Page<T>(items, null)
            : new Page<T>([.. items.Take(page.Size)], Cursor.Encode(list, position(items[page.Size - 1])));
}

/// <summary>
/// A position in a list: the sort key of the last item seen, so that rows that come and go between two pages shift nothing.
/// Opaque to callers, and sealed with a checksum over the list that it belongs to: an edited one is refused.
/// </summary>
internal static class Cursor
{
    private const int ChecksumLength = 6;

    // Infinity and NaN are sort keys too.
    private static readonly JsonSerializerOptions Options = new() 
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new UtcConverter() },
    };

    /// <param name="list">Everything that decides the list's order and content.</param>
    /// <param name="position">The last item's sort key.</param>
    public static string Encode<T>(string list, T position)
    {
        var payload = JsonSerializer.SerializeToUtf8Bytes(position, Options);
        return Base64Url.EncodeToString([.. Checksum(list, payload), .. payload]);
    }

    /// <summary>Reads the position that <paramref name="page"/> asks to go on from; false when the cursor isn't one of this list.</summary>
    public static bool TryDecode<T>(PageQuery page, string list, out T? position, [NotNullWhen(false)] out ValidationProblem? problem)
        where T : class
    {
        position = null;
        problem = null;
        if (string.IsNullOrEmpty(page.Cursor))
            return true;
        if (Base64Url.IsValid(page.Cursor))
        {
            var bytes = Base64Url.DecodeFromChars(page.Cursor);
            if (bytes.Length > ChecksumLength && bytes.AsSpan(0, ChecksumLength).SequenceEqual(Checksum(list, bytes.AsSpan(ChecksumLength))))
            {
                position = Read<T>(bytes.AsSpan(ChecksumLength));
                if (position is not null)
                    return true;
            }
        }

        problem = Foreign();
        return false;
    }

    /// <summary>The refusal of a cursor that no page gave.</summary>
    public static ValidationProblem Foreign() => Problems.Invalid(
        "cursor", "This cursor does not belong to this list with these filters and this order: start again without one.");

    /// <summary>Null where it is no position: the checksum is no secret.</summary>
    private static T? Read<T>(ReadOnlySpan<byte> payload)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(payload, Options) is { } position && position.ToString()?.Contains('\0', StringComparison.Ordinal) != true
                ? position
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The database compares times in UTC only.</summary>
    private sealed class UtcConverter : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TryGetDateTimeOffset(out var time) ? time.ToUniversalTime() : throw new JsonException();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) => writer.WriteStringValue(value);
    }

    private static ReadOnlySpan<byte> Checksum(string list, ReadOnlySpan<byte> payload) =>
        SHA256.HashData([.. Encoding.UTF8.GetBytes(list), 0, .. payload]).AsSpan(0, ChecksumLength);
}
