// Lookup tables.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// Row index[...] of the 2-d `weight` for every index (int64 or int32): shape index.sizes() + [weight.size(1)].
/// Rows looked up at `padding_idx` (may be negative) get no gradient; with `scale_grad_by_freq` a row's gradient is
/// divided by how often it was looked up. \throws IndexError for an index out of range.
NORCH_API Tensor embedding(const Tensor& index, const Tensor& weight, std::optional<int64_t> padding_idx = {},
                           bool scale_grad_by_freq = false);
/// Zeros with 1 at the place that each class names, in a new last dim; without `num_classes` the largest class + 1.
/// \throws Error for negative classes or ones that are too large. Waits for the device.
NORCH_API Tensor one_hot(const Tensor& classes, int64_t num_classes = -1);

}  // namespace norch
