// Parts of a tensor as views, and the reverse: copies of a tensor with a part replaced.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

// ---- one part (views)

/// The slice at `index` (may be negative) of dim `dim`, without that dim. \throws IndexError out of range or for 0-d.
NORCH_API Tensor select(const Tensor& t, int64_t dim, int64_t index);
/// Every `step`-th element of [start, end) along `dim`; bounds are clipped, negative ones count from the end.
/// \throws ValueError unless step > 0, IndexError for a 0-d tensor.
NORCH_API Tensor slice(const Tensor& t, int64_t dim = 0, std::optional<int64_t> start = {},
                       std::optional<int64_t> end = {}, int64_t step = 1);
/// `length` elements of `dim` from `start` (may be negative). \throws Error when they reach past the end.
NORCH_API Tensor narrow(const Tensor& t, int64_t dim, int64_t start, int64_t length);
/// The elements t[..., i, ..., i + offset, ...] of two dims, as a new last dim.
NORCH_API Tensor diagonal(const Tensor& t, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
/// All windows of `size` elements along `dim`, `step` apart; the window becomes the last dim.
NORCH_API Tensor unfold(const Tensor& t, int64_t dimension, int64_t size, int64_t step);

// ---- several parts (views; they may not be written to in place while gradients are recorded)

/// Parts of `split_size` along `dim` (the last may be smaller).
NORCH_API TensorList split(const Tensor& t, int64_t split_size, int64_t dim = 0);
/// Parts of the given sizes, which must add up to the size of `dim`.
NORCH_API TensorList split(const Tensor& t, Ints split_sizes, int64_t dim = 0);
/// At most `chunks` parts of equal size (the last may be smaller).
NORCH_API TensorList chunk(const Tensor& t, int64_t chunks, int64_t dim = 0);
/// Exactly `sections` parts, the first size % sections of which are one longer; or cut at the given indices.
NORCH_API TensorList tensor_split(const Tensor& t, int64_t sections, int64_t dim = 0);
NORCH_API TensorList tensor_split(const Tensor& t, Ints indices, int64_t dim = 0);
/// tensor_split along dim 1 (0 for 1-d), 0, 2. \throws Error for too few dims or a section count that does not divide.
NORCH_API TensorList hsplit(const Tensor& t, int64_t sections);
NORCH_API TensorList hsplit(const Tensor& t, Ints indices);
NORCH_API TensorList vsplit(const Tensor& t, int64_t sections);
NORCH_API TensorList vsplit(const Tensor& t, Ints indices);
NORCH_API TensorList dsplit(const Tensor& t, int64_t sections);
NORCH_API TensorList dsplit(const Tensor& t, Ints indices);
/// All slices along `dim`, without it.
NORCH_API TensorList unbind(const Tensor& t, int64_t dim = 0);

// ---- a copy of `t` in which a part is `src` (which must have the part's shape)
NORCH_API Tensor select_scatter(const Tensor& t, const Tensor& src, int64_t dim, int64_t index);
NORCH_API Tensor slice_scatter(const Tensor& t, const Tensor& src, int64_t dim = 0, std::optional<int64_t> start = {},
                               std::optional<int64_t> end = {}, int64_t step = 1);
NORCH_API Tensor diagonal_scatter(const Tensor& t, const Tensor& src, int64_t offset = 0, int64_t dim1 = 0,
                                  int64_t dim2 = 1);

}  // namespace norch
