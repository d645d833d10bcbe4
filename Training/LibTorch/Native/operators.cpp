// The operators that training calls, and their gradient.
#include "shim.h"

#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <vector>

namespace {

c10::optional<at::Tensor> maybe(Handle tensor) {
    return tensor ? c10::optional<at::Tensor>(*tensor) : c10::nullopt;
}

std::vector<at::Tensor> tensors(const Handle* handles, int count) {
    std::vector<at::Tensor> values;
    values.reserve(count);
    for (int i = 0; i < count; i++) values.push_back(*handles[i]);
    return values;
}

// All of the results or none: a failure half-way leaves nothing for the caller to free.
void handOver(const std::vector<at::Tensor>& values, Handle* out) {
    std::vector<std::unique_ptr<at::Tensor>> owned;
    owned.reserve(values.size());
    for (const auto& value : values) owned.push_back(std::make_unique<at::Tensor>(value));
    for (auto& value : owned) *out++ = value.release();
}

}  // namespace

// Shapes.

SHIM torch_view(Handle* out, Handle tensor, const int64_t* shape, int count) {
    return result(out, [&] { return tensor->view(list(shape, count)); });
}

SHIM torch_reshape(Handle* out, Handle tensor, const int64_t* shape, int count) {
    return result(out, [&] { return tensor->reshape(list(shape, count)); });
}

SHIM torch_permute(Handle* out, Handle tensor, const int64_t* order, int count) {
    return result(out, [&] { return tensor->permute(list(order, count)); });
}

SHIM torch_contiguous(Handle* out, Handle tensor) {
    return result(out, [&] { return tensor->contiguous(); });
}

SHIM torch_detach(Handle* out, Handle tensor) {
    return result(out, [&] { return tensor->detach(); });
}

SHIM torch_to_type(Handle* out, Handle tensor, int8_t type) {
    return result(out, [&] { return tensor->to(static_cast<at::ScalarType>(type)); });
}

SHIM torch_split(Handle* out, Handle tensor, const int64_t* sizes, int count, int64_t dimension) {
    return guarded([&] { handOver(tensor->split_with_sizes(list(sizes, count), dimension), out); });
}

// In place: the result is the first tensor, so nothing comes back.

SHIM torch_fill_(Handle tensor, double value, bool whole) {
    return guarded([&] { tensor->fill_(scalar(value, whole)); });
}

SHIM torch_uniform_(Handle tensor, double from, double to) {
    return guarded([&] { tensor->uniform_(from, to); });
}

SHIM torch_normal_(Handle tensor, double mean, double deviation) {
    return guarded([&] { tensor->normal_(mean, deviation); });
}

SHIM torch_copy_(Handle tensor, Handle source) {
    return guarded([&] { tensor->copy_(*source); });
}

SHIM torch_add_(Handle tensor, Handle other, double alpha, bool whole) {
    return guarded([&] { tensor->add_(*other, scalar(alpha, whole)); });
}

SHIM torch_add_scalar_(Handle tensor, double value, bool whole) {
    return guarded([&] { tensor->add_(scalar(value, whole)); });
}

SHIM torch_mul_scalar_(Handle tensor, double value, bool whole) {
    return guarded([&] { tensor->mul_(scalar(value, whole)); });
}

SHIM torch_div_scalar_(Handle tensor, double value, bool whole) {
    return guarded([&] { tensor->div_(scalar(value, whole)); });
}

SHIM torch_addcmul_(Handle tensor, Handle first, Handle second, double value, bool whole) {
    return guarded([&] { tensor->addcmul_(*first, *second, scalar(value, whole)); });
}

SHIM torch_addcdiv_(Handle tensor, Handle first, Handle second, double value, bool whole) {
    return guarded([&] { tensor->addcdiv_(*first, *second, scalar(value, whole)); });
}

// Element by element, and reductions.

SHIM torch_sqrt(Handle* out, Handle tensor) {
    return result(out, [&] { return tensor->sqrt(); });
}

SHIM torch_eq(Handle* out, Handle left, Handle right) {
    return result(out, [&] { return left->eq(*right); });
}

SHIM torch_sum(Handle* out, Handle tensor) {
    return result(out, [&] { return tensor->sum(); });
}

SHIM torch_argmax(Handle* out, Handle tensor, int64_t dimension) {
    return result(out, [&] { return tensor->argmax(dimension); });
}

// Layers.

SHIM torch_relu(Handle* out, Handle tensor) {
    return result(out, [&] { return tensor->relu(); });
}

SHIM torch_linear(Handle* out, Handle input, Handle weight, Handle bias) {
    return result(out, [&] { return at::linear(*input, *weight, maybe(bias)); });
}

SHIM torch_dropout(Handle* out, Handle input, double probability, bool training) {
    return result(out, [&] { return at::dropout(*input, probability, training); });
}

SHIM torch_conv2d(Handle* out, Handle input, Handle weight, Handle bias, const int64_t* stride, int strides, const int64_t* padding, int paddings) {
    return result(out, [&] { return at::conv2d(*input, *weight, maybe(bias), list(stride, strides), list(padding, paddings)); });
}

SHIM torch_max_pool2d(Handle* out, Handle input, const int64_t* kernel, int kernels, const int64_t* stride, int strides, const int64_t* padding, int paddings) {
    return result(out, [&] { return at::max_pool2d(*input, list(kernel, kernels), list(stride, strides), list(padding, paddings)); });
}

SHIM torch_adaptive_avg_pool2d(Handle* out, Handle input, const int64_t* size, int count) {
    return result(out, [&] { return at::adaptive_avg_pool2d(*input, list(size, count)); });
}

SHIM torch_batch_norm(Handle* out, Handle input, Handle mean, Handle variance, Handle weight, Handle bias, bool training, double momentum, double epsilon) {
    return result(out, [&] {
        return at::batch_norm(*input, maybe(weight), maybe(bias), maybe(mean), maybe(variance), training, momentum, epsilon, false);
    });
}

SHIM torch_cross_entropy(Handle* out, Handle logits, Handle labels, Handle weight) {
    return result(out, [&] { return at::cross_entropy_loss(*logits, *labels, maybe(weight)); });
}

SHIM torch_grad(Handle* out, const Handle* outputs, int outputCount, const Handle* inputs, int inputCount) {
    return guarded([&] { handOver(torch::autograd::grad(tensors(outputs, outputCount), tensors(inputs, inputCount)), out); });
}
