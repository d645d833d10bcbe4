namespace MlExperiments.Api.Infrastructure;

/// <summary>UUIDs of version 7 that sort in the order in which they are given out, also within a millisecond (RFC 9562, 6.2 method 1).</summary>
internal sealed class OrderedIds(TimeProvider time)
{
    private const int CounterEnd = 1 << 12;

    private long _milliseconds;
    private int _counter;

    public Guid Next()
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        // A clock that was set back changes nothing, and a full counter borrows from the next millisecond.
        if (now > _milliseconds)
            (_milliseconds, _counter) = (now, 0);
        else if (++_counter == CounterEnd)
            (_milliseconds, _counter) = (_milliseconds + 1, 0);

        Span<byte> bytes = stackalloc byte[16];
        Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(_milliseconds)).TryWriteBytes(bytes, bigEndian: true, out _);
        bytes[6] = (byte)(0x70 | (_counter >> 8));
        bytes[7] = (byte)_counter;
        return new Guid(bytes, bigEndian: true);
    }
}
