using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace MlExperiments.Api.Infrastructure;

/// <summary>
/// Tells whether two requests ask for the same: SHA-256 over query and body. Of a form it takes the fields and files, whatever the boundary between
/// them, which clients make up anew each time.
/// </summary>
internal static class RequestFingerprint
{
    // What is longer than this waits on disk.
    private const int MemoryThreshold = 65_536;

    /// <summary>Reads the whole body, up to the call's limit, and puts it back to its start.</summary>
    public static async Task<byte[]> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        request.EnableBuffering(MemoryThreshold);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes(request.QueryString.Value ?? "")));
        var parts = Boundary(request) is { } boundary ? await ReadPartsAsync(boundary, request.Body, cancellationToken) : null;
        request.Body.Position = 0;
        foreach (var part in parts ?? [await SHA256.HashDataAsync(request.Body, cancellationToken)])
            hash.AppendData(part);
        request.Body.Position = 0;
        return hash.GetHashAndReset();
    }

    /// <summary>Two hashes for each part; null where it is no form, which the handler says in words.</summary>
    private static async Task<List<byte[]>?> ReadPartsAsync(string boundary, Stream body, CancellationToken cancellationToken)
    {
        var parts = new List<byte[]>();
        try
        {
            var reader = new MultipartReader(boundary, body);
            while (await reader.ReadNextSectionAsync(cancellationToken) is { } section)
            {
                parts.Add(SHA256.HashData(Encoding.UTF8.GetBytes(section.ContentDisposition ?? "")));
                parts.Add(await SHA256.HashDataAsync(section.Body, cancellationToken));
            }

            return parts;
        }
        catch (Exception exception) when (FormErrors.IsUnreadable(exception))
        {
            return null;
        }
    }

    private static string? Boundary(HttpRequest request) =>
        MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase)
            && HeaderUtilities.RemoveQuotes(type.Boundary) is { Length: > 0 } boundary
                ? boundary.Value
                : null;
}
