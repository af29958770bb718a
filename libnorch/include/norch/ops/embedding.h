// Lookup tables.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// Row index[...] of the 2-d `weight` for every index (int64 or int32): shape index.sizes() + [weight.size(1)].
/// Rows looked up at `padding_idx` (may be negative) get no gradient; with `scale_grad_by_freq` a row's gradient is
/// divided by how often it was looked up. With `sparse` the gradient is a sparse tensor (norch/sparse.h), which does not
/// go with `scale_grad_by_freq`. \throws IndexError for an index out of range.
NORCH_API Tensor embedding(const Tensor& index, const Tensor& weight, std::optional<int64_t> padding_idx = {},
                           bool scale_grad_by_freq = false, bool sparse = false);
enum class BagMode { sum, mean, max };
/// The sum, mean or elementwise maximum of the rows of each bag of indices. index (bags, n) holds a bag per row; index (n)
/// is cut at `offsets` (bags), the first index of each bag (with include_last_offset also the end of the last one). Empty
/// bags give zeros. `per_sample_weights`, of the index's shape, multiply rows before they are summed (sum only).
/// padding_idx (may be negative) leaves indices out. int64 or int32 indices. `sparse` as for embedding (not with max).
///
///     embedding_bag(index, weight, offsets);   // (7), (100, 16), (3) -> (3, 16)
///
/// \throws ValueError or Error for arguments that do not fit, IndexError for an index out of range.
NORCH_API Tensor embedding_bag(const Tensor& index, const Tensor& weight, const Tensor& offsets = {},
                               BagMode mode = BagMode::mean, bool scale_grad_by_freq = false,
                               const Tensor& per_sample_weights = {}, bool include_last_offset = false,
                               std::optional<int64_t> padding_idx = {}, bool sparse = false);
/// Zeros with 1 at the place that each class names, in a new last dim; without `num_classes` the largest class + 1.
/// \throws Error for negative classes or ones that are too large. Waits for the device.
NORCH_API Tensor one_hot(const Tensor& classes, int64_t num_classes = -1);

}  // namespace norch
