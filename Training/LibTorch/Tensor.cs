using static TorchSharp.Native;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>
    /// A tensor of libtorch's. It belongs to the dispose scope in which it was made, or to the caller where there is none.
    /// Calls on a disposed tensor throw <see cref="ObjectDisposedException"/>; calls that libtorch refuses throw
    /// <see cref="System.Runtime.InteropServices.ExternalException"/> with its message.
    /// </summary>
    public sealed partial class Tensor : IDisposable
    {
        private static long _totalCount;
        private int _disposed;

        internal Tensor(TensorHandle handle)
        {
            Handle = handle;
            Interlocked.Increment(ref _totalCount);
            Scope = DisposeScope.Register(this);
        }

        /// <summary>How many tensors of the process wait for their disposal.</summary>
        public static long TotalCount => Interlocked.Read(ref _totalCount);

        internal TensorHandle Handle { get; }

        internal DisposeScope? Scope { get; set; }

        public long[] shape
        {
            get
            {
                Check(torch_dim(Handle, out var dimensions));
                var sizes = new long[dimensions];
                Check(torch_sizes(Handle, sizes));
                return sizes;
            }
        }

        public long NumberOfElements => shape.Aggregate(1L, (product, size) => product * size);

        /// <summary>The elements' memory, for reading and writing; it ends with the tensor.</summary>
        /// <exception cref="InvalidOperationException">The elements don't lie one behind another.</exception>
        /// <exception cref="ArgumentException">More than 2 GiB.</exception>
        public unsafe Span<byte> bytes
        {
            get
            {
                if (!is_contiguous()) throw new InvalidOperationException("Only a contiguous tensor shows its bytes.");
                Check(torch_data(Handle, out var data, out var length));
                if (length > int.MaxValue) throw new ArgumentException($"A span can't hold the tensor's {length} bytes.");
                return new((void*)data, (int)length);
            }
        }

        public bool is_contiguous()
        {
            Check(torch_is_contiguous(Handle, out var contiguous));
            return contiguous;
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            Check(torch_set_requires_grad(Handle, requires_grad));
            return this;
        }

        public Tensor MoveToOuterDisposeScope()
        {
            Scope?.MoveToOuter(this);
            return this;
        }

        public Tensor DetachFromDisposeScope()
        {
            Scope?.Detach(this);
            return this;
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
            Interlocked.Decrement(ref _totalCount);
            Scope?.Forget(this);
            Handle.Dispose();
        }
    }
}
