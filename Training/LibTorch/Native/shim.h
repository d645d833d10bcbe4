// The edge between C# and libtorch: plain C functions. Each returns null, or libtorch's message when it threw; the
// message belongs to the thread and lasts until its next failure. A tensor crosses as a pointer to an at::Tensor on the
// heap that the caller frees with torch_free.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#define SHIM extern "C" __attribute__((visibility("default"))) const char*

using Handle = at::Tensor*;

inline const char* remember(std::string message) noexcept {
    thread_local std::string last;
    last = std::move(message);
    return last.c_str();
}

// No exception may reach C#: it would end the process.
template <typename Body>
const char* guarded(Body&& body) noexcept {
    try {
        body();
        return nullptr;
    } catch (const c10::Error& error) {
        return remember(error.what_without_backtrace());
    } catch (const std::exception& error) {
        return remember(error.what());
    } catch (...) {
        return remember("libtorch failed for an unknown reason");
    }
}

template <typename Make>
const char* result(Handle* out, Make&& make) noexcept {
    *out = nullptr;
    return guarded([&] { *out = new at::Tensor(make()); });
}

inline at::IntArrayRef list(const int64_t* values, int count) {
    return {values, static_cast<size_t>(count)};
}

// A scalar crosses as a double with a flag, so that whole numbers stay whole (a tensor of integers keeps its type).
inline at::Scalar scalar(double value, bool whole) {
    return whole ? at::Scalar(static_cast<int64_t>(value)) : at::Scalar(value);
}
