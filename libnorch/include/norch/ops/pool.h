// Pooling over windows of the last one or two dims.
//
// Inputs are (batch, channels, spatial dims...), or without the batch. kernel_size, stride, padding and dilation are
// one number or one per spatial dim; an empty stride means the kernel size. An output size is
// floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1, with ceil in place of floor for ceil_mode,
// where windows that would begin in the padding behind are left out. \throws Error for shapes that do not fit and for
// numbers out of range; NotImplementedError for dtypes.
#pragma once

#include <optional>
#include <utility>

#include "norch/tensor.h"

namespace norch {

/// The largest element of each window (NaN if it holds one), any dtype but bool. The second result of the
/// _with_indices forms is its index among the elements of its plane (int64).
NORCH_API Tensor max_pool1d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            Ints dilation = {1}, bool ceil_mode = false);
NORCH_API Tensor max_pool2d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            Ints dilation = {1}, bool ceil_mode = false);
NORCH_API std::pair<Tensor, Tensor> max_pool1d_with_indices(const Tensor& input, Ints kernel_size, Ints stride = {},
                                                            Ints padding = {0}, Ints dilation = {1},
                                                            bool ceil_mode = false);
NORCH_API std::pair<Tensor, Tensor> max_pool2d_with_indices(const Tensor& input, Ints kernel_size, Ints stride = {},
                                                            Ints padding = {0}, Ints dilation = {1},
                                                            bool ceil_mode = false);

/// The sum of each window over its size: with the padding, without it, or a given divisor. Float dtypes.
NORCH_API Tensor avg_pool1d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            bool ceil_mode = false, bool count_include_pad = true);
NORCH_API Tensor avg_pool2d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            bool ceil_mode = false, bool count_include_pad = true,
                            std::optional<int64_t> divisor_override = {});

/// Windows chosen for a given output size: window o is [floor(o * size / out), ceil((o + 1) * size / out)). A size of
/// -1 keeps the input's.
NORCH_API Tensor adaptive_avg_pool1d(const Tensor& input, Ints output_size);
NORCH_API Tensor adaptive_avg_pool2d(const Tensor& input, Ints output_size);
NORCH_API std::pair<Tensor, Tensor> adaptive_max_pool1d_with_indices(const Tensor& input, Ints output_size);
NORCH_API std::pair<Tensor, Tensor> adaptive_max_pool2d_with_indices(const Tensor& input, Ints output_size);

}  // namespace norch
