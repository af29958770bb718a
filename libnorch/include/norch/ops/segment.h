// Segments of a dim, and places as coordinates.
#pragma once

#include <optional>
#include <string>

#include "norch/tensor.h"

namespace norch {

/// The coordinates of places that were counted in row-major order in a tensor of the given shape: for each dim an int64
/// tensor of the shape of `indices` (integers).
/// \throws TypeError for indices that are no integers, ValueError for negative sizes.
///
///   unravel_index(tensor({5}), {2, 3});   // {tensor({1}), tensor({2})}
NORCH_API TensorList unravel_index(const Tensor& indices, Ints shape);

/// What segments of dim `axis` come to, by "sum", "mean", "max", "min" or "prod". `lengths` (integers, of the shape of
/// `data` up to `axis`, where it counts the segments) says how many neighbours make up each; or `offsets`, with one
/// element more, where each begins and ends. A segment starts from `initial`, where there is one; an empty one without
/// comes to 0, NaN, -inf, inf or 1. Float dtypes.
/// \throws Error unless the segments make up the dim (unchecked if `unsafe`).
///
///   segment_reduce(tensor({1., 2., 4.}), "sum", tensor({1, 2}), {}, 0);   // {1, 6}
NORCH_API Tensor segment_reduce(const Tensor& data, const std::string& reduce, const Tensor& lengths,
                                const Tensor& offsets = {}, int64_t axis = 0, bool unsafe = false,
                                std::optional<Scalar> initial = {});

/// The p-norms of the slices along `dim`, which keep all dims (-1: of the whole tensor): what weight_norm divides by.
NORCH_API Tensor norm_except_dim(const Tensor& v, int64_t pow = 2, int64_t dim = 0);

}  // namespace norch
