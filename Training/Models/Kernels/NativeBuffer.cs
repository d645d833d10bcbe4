using System.Runtime.InteropServices;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>Values outside the collector's heap, which begin where a cache line does.</summary>
internal sealed unsafe class NativeBuffer<T> : IDisposable where T : unmanaged
{
    private const nuint CacheLine = 64;

    private T* _values;
    private nuint _count;

    /// <summary>Room for that many at least: all zeros where it had to grow, else as it was left.</summary>
    /// <exception cref="OutOfMemoryException">There is not so much memory.</exception>
    public T* AtLeast(long count)
    {
        if (_count >= (nuint)count) return _values;
        Dispose();
        var bytes = checked((nuint)count * (nuint)sizeof(T));
        _values = (T*)NativeMemory.AlignedAlloc(bytes, CacheLine);
        NativeMemory.Clear(_values, bytes);
        _count = (nuint)count;
        return _values;
    }

    /// <summary>Makes the first of them zeros.</summary>
    /// <param name="count">At most as many as there are.</param>
    public void Clear(long count) => NativeMemory.Clear(_values, (nuint)count * (nuint)sizeof(T));

    public void Dispose()
    {
        NativeMemory.AlignedFree(_values);
        _values = null;
        _count = 0;
    }
}
