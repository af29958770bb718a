// Reductions over dims.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// Sum over `dims` (none: all). Integers and bool sum in int64. Shape: the input's without the dims, or with size 1
/// for them with `keepdim`.
NORCH_API Tensor sum(const Tensor& t, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
/// Sums the dims along which `sizes` would broadcast to the tensor's shape: the reverse of expand.
NORCH_API Tensor sum_to_size(const Tensor& t, Ints sizes);

}  // namespace norch
