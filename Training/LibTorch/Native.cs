using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp;

/// <summary>Owns one <c>at::Tensor</c> on the native heap; freed once, by dispose or by the finalizer.</summary>
internal sealed class TensorHandle : SafeHandle
{
    /// <summary>Stands for an argument that is left out.</summary>
    public static readonly TensorHandle None = new();

    public TensorHandle() : base(0, ownsHandle: true)
    {
    }

    public TensorHandle(nint tensor) : this() => SetHandle(tensor);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => Native.torch_free(handle) == 0;
}

/// <summary>The functions of the shim. Each answers 0, or a message (UTF-8) that <see cref="Check"/> throws.</summary>
internal static partial class Native
{
    private const string Library = "mlexperiments_torch";

    /// <exception cref="ExternalException">The call failed; the message is libtorch's.</exception>
    public static void Check(nint error)
    {
        if (error != 0) Throw(error);
    }

    // Apart from Check, which is inlined at every call.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Throw(nint error) => throw new ExternalException(Marshal.PtrToStringUTF8(error));

    [LibraryImport(Library)] public static partial nint torch_version(out nint version);
    [LibraryImport(Library)] public static partial nint torch_set_num_threads(int count);
    [LibraryImport(Library)] public static partial nint torch_get_num_threads(out int count);
    [LibraryImport(Library)] public static partial nint torch_manual_seed(long seed);
    [LibraryImport(Library)] public static partial nint torch_is_grad_enabled([MarshalAs(UnmanagedType.U1)] out bool enabled);
    [LibraryImport(Library)] public static partial nint torch_set_grad_enabled([MarshalAs(UnmanagedType.U1)] bool enabled);

    [LibraryImport(Library)] public static partial nint torch_empty(out TensorHandle result, ReadOnlySpan<long> sizes, int count, sbyte type);
    [LibraryImport(Library)] public static partial nint torch_zeros(out TensorHandle result, ReadOnlySpan<long> sizes, int count, sbyte type);
    [LibraryImport(Library)] public static partial nint torch_free(nint tensor);
    [LibraryImport(Library)] public static partial nint torch_dim(TensorHandle tensor, out long dimensions);
    [LibraryImport(Library)] public static partial nint torch_sizes(TensorHandle tensor, Span<long> sizes);
    [LibraryImport(Library)] public static partial nint torch_is_contiguous(TensorHandle tensor, [MarshalAs(UnmanagedType.U1)] out bool contiguous);
    [LibraryImport(Library)] public static partial nint torch_data(TensorHandle tensor, out nint data, out long bytes);
    [LibraryImport(Library)] public static partial nint torch_set_requires_grad(TensorHandle tensor, [MarshalAs(UnmanagedType.U1)] bool required);

    [LibraryImport(Library)] public static partial nint torch_view(out TensorHandle result, TensorHandle tensor, ReadOnlySpan<long> shape, int count);
    [LibraryImport(Library)] public static partial nint torch_reshape(out TensorHandle result, TensorHandle tensor, ReadOnlySpan<long> shape, int count);
    [LibraryImport(Library)] public static partial nint torch_permute(out TensorHandle result, TensorHandle tensor, ReadOnlySpan<long> order, int count);
    [LibraryImport(Library)] public static partial nint torch_contiguous(out TensorHandle result, TensorHandle tensor);
    [LibraryImport(Library)] public static partial nint torch_detach(out TensorHandle result, TensorHandle tensor);
    [LibraryImport(Library)] public static partial nint torch_to_type(out TensorHandle result, TensorHandle tensor, sbyte type);
    [LibraryImport(Library)] public static partial nint torch_split(Span<nint> results, TensorHandle tensor, ReadOnlySpan<long> sizes, int count, long dimension);

    [LibraryImport(Library)] public static partial nint torch_fill_(TensorHandle tensor, double value, [MarshalAs(UnmanagedType.U1)] bool whole);
    [LibraryImport(Library)] public static partial nint torch_uniform_(TensorHandle tensor, double from, double to);
    [LibraryImport(Library)] public static partial nint torch_normal_(TensorHandle tensor, double mean, double deviation);
    [LibraryImport(Library)] public static partial nint torch_copy_(TensorHandle tensor, TensorHandle source);
    [LibraryImport(Library)] public static partial nint torch_add_(TensorHandle tensor, TensorHandle other, double alpha, [MarshalAs(UnmanagedType.U1)] bool whole);
    [LibraryImport(Library)] public static partial nint torch_add_scalar_(TensorHandle tensor, double value, [MarshalAs(UnmanagedType.U1)] bool whole);
    [LibraryImport(Library)] public static partial nint torch_mul_scalar_(TensorHandle tensor, double value, [MarshalAs(UnmanagedType.U1)] bool whole);
    [LibraryImport(Library)] public static partial nint torch_div_scalar_(TensorHandle tensor, double value, [MarshalAs(UnmanagedType.U1)] bool whole);
    [LibraryImport(Library)] public static partial nint torch_addcmul_(TensorHandle tensor, TensorHandle first, TensorHandle second, double value, [MarshalAs(UnmanagedType.U1)] bool whole);
    [LibraryImport(Library)] public static partial nint torch_addcdiv_(TensorHandle tensor, TensorHandle first, TensorHandle second, double value, [MarshalAs(UnmanagedType.U1)] bool whole);

    [LibraryImport(Library)] public static partial nint torch_sqrt(out TensorHandle result, TensorHandle tensor);
    [LibraryImport(Library)] public static partial nint torch_eq(out TensorHandle result, TensorHandle left, TensorHandle right);
    [LibraryImport(Library)] public static partial nint torch_sum(out TensorHandle result, TensorHandle tensor);
    [LibraryImport(Library)] public static partial nint torch_argmax(out TensorHandle result, TensorHandle tensor, long dimension);

    [LibraryImport(Library)] public static partial nint torch_relu(out TensorHandle result, TensorHandle tensor);
    [LibraryImport(Library)] public static partial nint torch_linear(out TensorHandle result, TensorHandle input, TensorHandle weight, TensorHandle bias);
    [LibraryImport(Library)] public static partial nint torch_dropout(out TensorHandle result, TensorHandle input, double probability, [MarshalAs(UnmanagedType.U1)] bool training);
    [LibraryImport(Library)] public static partial nint torch_conv2d(out TensorHandle result, TensorHandle input, TensorHandle weight, TensorHandle bias, ReadOnlySpan<long> stride, int strides, ReadOnlySpan<long> padding, int paddings);
    [LibraryImport(Library)] public static partial nint torch_max_pool2d(out TensorHandle result, TensorHandle input, ReadOnlySpan<long> kernel, int kernels, ReadOnlySpan<long> stride, int strides, ReadOnlySpan<long> padding, int paddings);
    [LibraryImport(Library)] public static partial nint torch_adaptive_avg_pool2d(out TensorHandle result, TensorHandle input, ReadOnlySpan<long> size, int count);
    [LibraryImport(Library)] public static partial nint torch_batch_norm(out TensorHandle result, TensorHandle input, TensorHandle mean, TensorHandle variance, TensorHandle weight, TensorHandle bias, [MarshalAs(UnmanagedType.U1)] bool training, double momentum, double epsilon);
    [LibraryImport(Library)] public static partial nint torch_cross_entropy(out TensorHandle result, TensorHandle logits, TensorHandle labels, TensorHandle weight);
    [LibraryImport(Library)] public static partial nint torch_grad(Span<nint> results, ReadOnlySpan<nint> outputs, int outputCount, ReadOnlySpan<nint> inputs, int inputCount);
}
