using System.Runtime.InteropServices;
using static TorchSharp.Native;

namespace TorchSharp;

/// <summary>
/// The part of TorchSharp's surface that training uses, over the distribution's libtorch: the same namespace, names and
/// meaning, so that the training code compiles against either. Tensors live in the memory of the CPU.
/// </summary>
public static partial class torch
{
    /// <summary>The element types that training uses, with libtorch's numbers.</summary>
    public enum ScalarType : sbyte
    {
        Byte = 0,
        Int32 = 3,
        Int64 = 4,
        Float32 = 6,
        Float64 = 7,
        Bool = 11,
        BFloat16 = 15,
    }

    /// <summary>The version of libtorch that the shim was built against, for example <c>1.13.1</c>.</summary>
    public static string __version__
    {
        get
        {
            Check(torch_version(out var version));
            return Marshal.PtrToStringUTF8(version)!;
        }
    }

    /// <summary>A tensor of the shape, its elements whatever the memory held.</summary>
    /// <param name="requires_grad">Whether it is a leaf that gradients are taken by.</param>
    public static Tensor empty(long[] size, ScalarType? dtype = null, bool requires_grad = false)
    {
        Check(torch_empty(out var handle, size, size.Length, (sbyte)(dtype ?? ScalarType.Float32)));
        var result = new Tensor(handle);
        return requires_grad ? result.requires_grad_() : result;
    }

    public static Tensor zeros(long[] size, ScalarType? dtype = null)
    {
        Check(torch_zeros(out var result, size, size.Length, (sbyte)(dtype ?? ScalarType.Float32)));
        return new(result);
    }

    /// <summary>Seeds libtorch's default generator, which <c>uniform_</c> and <c>dropout</c> draw from.</summary>
    public static Generator manual_seed(long seed) => random.manual_seed(seed);

    /// <summary>How many threads one operator uses; for the whole process.</summary>
    public static void set_num_threads(int num) => Check(torch_set_num_threads(num));

    public static int get_num_threads()
    {
        Check(torch_get_num_threads(out var count));
        return count;
    }

    /// <summary>No gradients are recorded on this thread until the result is disposed of.</summary>
    public static IDisposable no_grad() => new GradientMode(enabled: false);

    /// <summary>Tensors that this thread makes until the scope's end are disposed of then.</summary>
    public static DisposeScope NewDisposeScope() => new();

    public static class random
    {
        public static Generator manual_seed(long seed)
        {
            Check(torch_manual_seed(seed));
            return new();
        }
    }

    /// <summary>The default generator, which the calls that draw use without being told.</summary>
    public sealed class Generator : IDisposable
    {
        internal Generator()
        {
        }

        /// <summary>Nothing to free here; in TorchSharp a generator lives on the native heap.</summary>
        public void Dispose()
        {
        }
    }

    private sealed class GradientMode : IDisposable
    {
        private readonly bool _before;

        public GradientMode(bool enabled)
        {
            Check(torch_is_grad_enabled(out _before));
            Check(torch_set_grad_enabled(enabled));
        }

        public void Dispose() => Check(torch_set_grad_enabled(_before));
    }
}
