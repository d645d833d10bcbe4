using static TorchSharp.Native;

namespace TorchSharp;

public static partial class torch
{
    public sealed partial class Tensor
    {
        /// <summary>The same elements under another shape, sharing memory; the elements must lie in that order.</summary>
        public Tensor view(params long[] shape)
        {
            Check(torch_view(out var result, Handle, shape, shape.Length));
            return new(result);
        }

        /// <summary>Like <see cref="view"/>, but copies where it must.</summary>
        public Tensor reshape(params long[] shape)
        {
            Check(torch_reshape(out var result, Handle, shape, shape.Length));
            return new(result);
        }

        /// <summary>The dimensions in another order, sharing memory.</summary>
        public Tensor permute(params long[] permutation)
        {
            Check(torch_permute(out var result, Handle, permutation, permutation.Length));
            return new(result);
        }

        /// <summary>The elements one behind another, in the order of the shape: a copy unless they are already.</summary>
        public Tensor contiguous()
        {
            Check(torch_contiguous(out var result, Handle));
            return new(result);
        }

        /// <summary>The same memory without its history of gradients.</summary>
        public Tensor detach()
        {
            Check(torch_detach(out var result, Handle));
            return new(result);
        }

        public Tensor to_type(ScalarType type)
        {
            Check(torch_to_type(out var result, Handle, (sbyte)type));
            return new(result);
        }

        /// <summary>Cuts a dimension into pieces of these sizes, which share the tensor's memory.</summary>
        public Tensor[] split(long[] sizes, long dim = 0)
        {
            var results = new nint[sizes.Length];
            Check(torch_split(results, Handle, sizes, sizes.Length, dim));
            return Array.ConvertAll(results, result => new Tensor(new TensorHandle(result)));
        }

        public Tensor fill_(Scalar value)
        {
            Check(torch_fill_(Handle, value.Value, value.IsWhole));
            return this;
        }

        /// <summary>Fills the tensor with draws from [from, to) of the default generator.</summary>
        public Tensor uniform_(double from, double to)
        {
            Check(torch_uniform_(Handle, from, to));
            return this;
        }

        /// <summary>Fills the tensor with draws from a normal distribution, of the default generator.</summary>
        public Tensor normal_(double mean = 0, double std = 1)
        {
            Check(torch_normal_(Handle, mean, std));
            return this;
        }

        public Tensor copy_(Tensor source)
        {
            Check(torch_copy_(Handle, source.Handle));
            return this;
        }

        public Tensor add_(Tensor target) => add_(target, 1);

        /// <summary>Adds <paramref name="target"/> times <paramref name="alpha"/>.</summary>
        public Tensor add_(Tensor target, Scalar alpha)
        {
            Check(torch_add_(Handle, target.Handle, alpha.Value, alpha.IsWhole));
            return this;
        }

        public Tensor add_(Scalar scalar)
        {
            Check(torch_add_scalar_(Handle, scalar.Value, scalar.IsWhole));
            return this;
        }

        public Tensor mul_(Scalar target)
        {
            Check(torch_mul_scalar_(Handle, target.Value, target.IsWhole));
            return this;
        }

        public Tensor div_(Scalar target)
        {
            Check(torch_div_scalar_(Handle, target.Value, target.IsWhole));
            return this;
        }

        /// <summary>Adds <paramref name="tensor1"/> times <paramref name="tensor2"/> times <paramref name="value"/>.</summary>
        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value)
        {
            Check(torch_addcmul_(Handle, tensor1.Handle, tensor2.Handle, value.Value, value.IsWhole));
            return this;
        }

        /// <summary>Adds <paramref name="tensor1"/> divided by <paramref name="tensor2"/> times <paramref name="value"/>.</summary>
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value)
        {
            Check(torch_addcdiv_(Handle, tensor1.Handle, tensor2.Handle, value.Value, value.IsWhole));
            return this;
        }

        public Tensor sqrt()
        {
            Check(torch_sqrt(out var result, Handle));
            return new(result);
        }

        /// <summary>Where the elements are equal: booleans.</summary>
        public Tensor eq(Tensor target)
        {
            Check(torch_eq(out var result, Handle, target.Handle));
            return new(result);
        }

        /// <summary>The sum of all elements; of booleans and whole numbers as Int64.</summary>
        public Tensor sum()
        {
            Check(torch_sum(out var result, Handle));
            return new(result);
        }

        /// <summary>Where along a dimension the largest element is (the first NaN, where there is one): Int64.</summary>
        public Tensor argmax(long dim)
        {
            Check(torch_argmax(out var result, Handle, dim));
            return new(result);
        }

        public Tensor relu()
        {
            Check(torch_relu(out var result, Handle));
            return new(result);
        }
    }
}
