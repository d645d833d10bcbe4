using System.Buffers;

namespace MlExperiments.Shared.Blobs;

/// <summary>The names of blobs: SHA-256 as 64 lower-case hex digits.</summary>
public static class BlobHash
{
    public const int Length = 64;

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    public static bool IsValid(string? hash) =>
        hash is { Length: Length } && !hash.AsSpan().ContainsAnyExcept(Digits);

    /// <summary>Names become paths and keys: whoever uses one as such checks it first.</summary>
    /// <exception cref="ArgumentException">Not 64 lower-case hex digits.</exception>
    public static void ThrowIfInvalid(string hash)
    {
        if (!IsValid(hash))
            throw new ArgumentException("A blob is named by 64 lower-case hex digits.", nameof(hash));
    }
}
