// Views: the same memory under another shape.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// The storage of `t` seen with the given geometry (in elements; the offset counts from the storage's start).
/// \throws Error when it reaches outside the storage.
NORCH_API Tensor as_strided(const Tensor& t, Ints sizes, Ints strides, int64_t storage_offset);
/// A copy of `base` (same strides) in which as_strided(base, geometry) holds `part`.
NORCH_API Tensor as_strided_scatter(const Tensor& base, const Tensor& part, Ints sizes, Ints strides,
                                    int64_t storage_offset);
/// The view of `t` with size-1 dims repeated; -1 keeps a size. \throws Error when a size does not fit.
NORCH_API Tensor expand(const Tensor& t, Ints sizes);
/// The same elements in row-major order under another shape; one size may be -1. A view where strides allow it,
/// otherwise a copy.
NORCH_API Tensor reshape(const Tensor& t, Ints sizes);
/// Swaps two dims.
NORCH_API Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1);

}  // namespace norch
