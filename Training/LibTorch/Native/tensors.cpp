// Making tensors, looking into them, and the engine's switches.
#include "shim.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/api/include/torch/version.h>

SHIM torch_version(const char** version) {
    *version = TORCH_VERSION;
    return nullptr;
}

SHIM torch_set_num_threads(int count) {
    return guarded([&] { at::set_num_threads(count); });
}

SHIM torch_get_num_threads(int* count) {
    return guarded([&] { *count = at::get_num_threads(); });
}

SHIM torch_manual_seed(int64_t seed) {
    return guarded([&] { at::manual_seed(static_cast<uint64_t>(seed)); });
}

SHIM torch_is_grad_enabled(bool* enabled) {
    return guarded([&] { *enabled = c10::GradMode::is_enabled(); });
}

SHIM torch_set_grad_enabled(bool enabled) {
    return guarded([&] { c10::GradMode::set_enabled(enabled); });
}

SHIM torch_empty(Handle* out, const int64_t* sizes, int count, int8_t type) {
    return result(out, [&] { return at::empty(list(sizes, count), at::TensorOptions(static_cast<at::ScalarType>(type))); });
}

SHIM torch_zeros(Handle* out, const int64_t* sizes, int count, int8_t type) {
    return result(out, [&] { return at::zeros(list(sizes, count), at::TensorOptions(static_cast<at::ScalarType>(type))); });
}

SHIM torch_free(Handle tensor) {
    return guarded([&] { delete tensor; });
}

SHIM torch_dim(Handle tensor, int64_t* dimensions) {
    return guarded([&] { *dimensions = tensor->dim(); });
}

SHIM torch_sizes(Handle tensor, int64_t* sizes) {
    return guarded([&] {
        for (auto size : tensor->sizes()) *sizes++ = size;
    });
}

SHIM torch_is_contiguous(Handle tensor, bool* contiguous) {
    return guarded([&] { *contiguous = tensor->is_contiguous(); });
}

SHIM torch_data(Handle tensor, void** data, int64_t* bytes) {
    return guarded([&] {
        *data = tensor->data_ptr();
        *bytes = static_cast<int64_t>(tensor->nbytes());
    });
}

SHIM torch_set_requires_grad(Handle tensor, bool required) {
    return guarded([&] { tensor->set_requires_grad(required); });
}
