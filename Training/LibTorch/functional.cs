using static TorchSharp.Native;

namespace TorchSharp;

public static partial class torch
{
    public static class nn
    {
        public static class functional
        {
            /// <param name="input"><c>[n, in]</c>.</param>
            /// <param name="weights"><c>[out, in]</c>.</param>
            /// <param name="bias"><c>[out]</c>.</param>
            /// <returns><c>[n, out]</c>.</returns>
            public static Tensor linear(Tensor input, Tensor weights, Tensor? bias = null)
            {
                Check(torch_linear(out var result, input.Handle, weights.Handle, bias?.Handle ?? TensorHandle.None));
                return new(result);
            }

            /// <summary>
            /// While training, sets each element to 0 with probability <paramref name="p"/> and divides the others by 1 - p
            /// (Srivastava et al. 2014); else returns the input's values.
            /// </summary>
            public static Tensor dropout(Tensor input, double p = 0.5, bool training = true)
            {
                Check(torch_dropout(out var result, input.Handle, p, training));
                return new(result);
            }

            /// <param name="input"><c>[n, in, h, w]</c>.</param>
            /// <param name="weight"><c>[out, in, kh, kw]</c>.</param>
            /// <param name="bias"><c>[out]</c>.</param>
            /// <param name="strides">One for both directions, or one each; 1 where null.</param>
            /// <param name="padding">Zeros around the input, likewise; 0 where null.</param>
            /// <returns><c>[n, out, h, w]</c>.</returns>
            public static Tensor conv2d(Tensor input, Tensor weight, Tensor? bias = null, long[]? strides = null, long[]? padding = null)
            {
                strides ??= [1];
                padding ??= [0];
                Check(torch_conv2d(
                    out var result, input.Handle, weight.Handle, bias?.Handle ?? TensorHandle.None, strides, strides.Length, padding, padding.Length));
                return new(result);
            }

            /// <param name="input"><c>[n, c, h, w]</c>.</param>
            /// <param name="kernelSize">The window's sides.</param>
            /// <param name="strides">How far the window moves.</param>
            /// <param name="padding">Pixels around the input that are less than any; none where null.</param>
            public static Tensor max_pool2d(Tensor input, long[] kernelSize, long[] strides, long[]? padding = null)
            {
                padding ??= [0];
                Check(torch_max_pool2d(out var result, input.Handle, kernelSize, kernelSize.Length, strides, strides.Length, padding, padding.Length));
                return new(result);
            }

            /// <summary>Means over as many parts of each channel as make up the size.</summary>
            /// <param name="input"><c>[n, c, h, w]</c>.</param>
            /// <param name="output_size">Height and width of the result.</param>
            public static Tensor adaptive_avg_pool2d(Tensor input, long[] output_size)
            {
                Check(torch_adaptive_avg_pool2d(out var result, input.Handle, output_size, output_size.Length));
                return new(result);
            }

            /// <summary>
            /// Brings each channel to mean <paramref name="bias"/> and deviation <paramref name="weight"/> (Ioffe and Szegedy 2015). While training by the
            /// batch's own mean and variance, towards which the running ones move by <paramref name="momentum"/>; else by the running ones.
            /// </summary>
            /// <param name="input"><c>[n, c, h, w]</c>; all other tensors are <c>[c]</c>.</param>
            public static Tensor batch_norm(
                Tensor input, Tensor running_mean, Tensor running_var, Tensor? weight = null, Tensor? bias = null,
                bool training = false, double momentum = 0.1, double eps = 1e-5)
            {
                Check(torch_batch_norm(
                    out var result, input.Handle, running_mean.Handle, running_var.Handle, weight?.Handle ?? TensorHandle.None,
                    bias?.Handle ?? TensorHandle.None, training, momentum, eps));
                return new(result);
            }

            /// <summary>Mean over the rows of -log(softmax(input)[target]), in nats.</summary>
            /// <param name="input">Logits <c>[n, classes]</c>.</param>
            /// <param name="target">Class numbers <c>[n]</c>, Int64.</param>
            /// <param name="weight">What a row of each class counts in the mean, <c>[classes]</c>; 1 where null.</param>
            public static Tensor cross_entropy(Tensor input, Tensor target, Tensor? weight = null)
            {
                Check(torch_cross_entropy(out var result, input.Handle, target.Handle, weight?.Handle ?? TensorHandle.None));
                return new(result);
            }
        }
    }

    public static class autograd
    {
        /// <summary>The gradients of the outputs' sum by each of the inputs, in their order.</summary>
        public static IList<Tensor> grad(IList<Tensor> outputs, IList<Tensor> inputs)
        {
            var results = new nint[inputs.Count];
            var pinned = new List<TensorHandle>(outputs.Count + inputs.Count);
            try
            {
                Check(torch_grad(results, Pin(outputs, pinned), outputs.Count, Pin(inputs, pinned), inputs.Count));
            }
            finally
            {
                foreach (var handle in pinned) handle.DangerousRelease();
            }

            return Array.ConvertAll(results, result => new Tensor(new TensorHandle(result)));
        }

        // Handles in an array are not kept alive by the call as single ones are.
        private static nint[] Pin(IList<Tensor> tensors, List<TensorHandle> pinned)
        {
            var pointers = new nint[tensors.Count];
            for (var i = 0; i < pointers.Length; i++)
            {
                var handle = tensors[i].Handle;
                var added = false;
                handle.DangerousAddRef(ref added);
                pinned.Add(handle);
                pointers[i] = handle.DangerousGetHandle();
            }

            return pointers;
        }
    }
}
