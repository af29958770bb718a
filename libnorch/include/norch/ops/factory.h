// Making tensors.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// Uninitialised memory of the given shape.
NORCH_API Tensor empty(Ints sizes, const TensorOptions& options = {});
/// Uninitialised memory with the given strides (in elements, not negative), just large enough.
NORCH_API Tensor empty_strided(Ints sizes, Ints strides, const TensorOptions& options = {});
/// Filled with `value`. Without a dtype in the options the result has the value's: bool, int64 or the default float.
NORCH_API Tensor full(Ints sizes, const Scalar& value, const TensorOptions& options = {});
NORCH_API Tensor zeros(Ints sizes, const TensorOptions& options = {});
NORCH_API Tensor ones(Ints sizes, const TensorOptions& options = {});
/// Same shape, dtype and device as `like`.
NORCH_API Tensor empty_like(const Tensor& like);
NORCH_API Tensor zeros_like(const Tensor& like);
NORCH_API Tensor ones_like(const Tensor& like);
NORCH_API Tensor full_like(const Tensor& like, const Scalar& value);

/// Sets every element. Gradient: zero.
NORCH_API Tensor fill_(const Tensor& self, const Scalar& value);
NORCH_API Tensor zero_(const Tensor& self);

}  // namespace norch
