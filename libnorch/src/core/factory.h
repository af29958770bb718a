// Making tensors below the level of ops: no checks of user input, no autograd.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// A new contiguous tensor with uninitialised memory. `device` must be resolved.
NORCH_API Tensor new_tensor(Ints sizes, DType dtype, Device device);
/// The same for an op that users call with sizes: errors about them name `op`.
NORCH_API Tensor new_named(const char* op, Ints sizes, DType dtype, Device device);
/// A new tensor with the given strides (all positive or zero-size), memory just large enough.
NORCH_API Tensor new_strided(Ints sizes, Ints strides, DType dtype, Device device);
/// A new dense tensor of the shape of `like` in that format.
NORCH_API Tensor new_like(const Tensor& like, DType dtype, Device device, MemoryFormat format);
/// A tensor on the same memory with other geometry; marked as a differentiable view of `base`.
NORCH_API Tensor new_view(const Tensor& base, Ints sizes, Ints strides, int64_t offset);
/// The same with elements of another dtype; strides and offset count those.
NORCH_API Tensor new_view(const Tensor& base, DType dtype, Ints sizes, Ints strides, int64_t offset);
/// The element at `bytes`.
NORCH_API Scalar scalar_from_bytes(const void* bytes, DType dtype);
/// Writes the scalar, converted, as one element.
NORCH_API void scalar_to_bytes(const Scalar& value, DType dtype, void* bytes);

}  // namespace norch
