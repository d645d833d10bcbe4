namespace MlExperiments.Api.Images;

/// <summary>UUIDs of version 7 that sort in the order in which they are given out, also within a millisecond (RFC 9562, 6.2 method 1).</summary>
internal sealed class OrderedIds(TimeProvider time)
{
    private const int CounterEnd = 1 << 12;

    private long milliseconds;
    private int counter;

    public Guid Next()
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        // A clock that was set back changes nothing, and a full counter borrows from the next millisecond.
        if (now > milliseconds)
            (milliseconds, counter) = (now, 0);
        else if (++counter == CounterEnd)
            (milliseconds, counter) = (milliseconds + 1, 0);

        Span<byte> bytes = stackalloc byte[16];
        Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(milliseconds)).TryWriteBytes(bytes, bigEndian: true, out _);
        bytes[6] = (byte)(0x70 | (counter >> 8));
        bytes[7] = (byte)counter;
        return new Guid(bytes, bigEndian: true);
    }
}
