// Pooling over windows of the last one to three dims, and the reverse.
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

#define NORCH_DECLARE_POOL(dims)                                                                                   \
  NORCH_API Tensor max_pool##dims##d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},  \
                                     Ints dilation = {1}, bool ceil_mode = false);                                 \
  NORCH_API std::pair<Tensor, Tensor> max_pool##dims##d_with_indices(                                              \
      const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0}, Ints dilation = {1},            \
      bool ceil_mode = false);                                                                                     \
  NORCH_API Tensor adaptive_avg_pool##dims##d(const Tensor& input, Ints output_size);                              \
  NORCH_API std::pair<Tensor, Tensor> adaptive_max_pool##dims##d_with_indices(const Tensor& input,                 \
                                                                              Ints output_size);                   \
  NORCH_API Tensor lp_pool##dims##d(const Tensor& input, double norm_type, Ints kernel_size, Ints stride = {},     \
                                    bool ceil_mode = false);                                                       \
  NORCH_API Tensor max_unpool##dims##d(const Tensor& input, const Tensor& indices, Ints output_size);

/// For 1, 2 and 3 spatial dims:
///
/// max_pool1d, 2d, 3d: the largest element of each window (NaN if it holds one), any dtype but bool. The second result
/// of max_pool2d_with_indices is its index among the elements of its plane (int64).
///
/// adaptive_avg_pool2d, adaptive_max_pool2d_with_indices: windows chosen for a given output size; window o is
/// [floor(o * size / out), ceil((o + 1) * size / out)). A size of -1 keeps the input's. Float dtypes.
///
/// lp_pool2d: (sum of x^p over each window)^(1/p); p = inf is the largest |x|. Float dtypes.
///
/// max_unpool2d: zeros of the spatial shape `output_size` with input[i] at place indices[i] of its plane, the reverse of
/// max_pool2d_with_indices. \throws Error for shapes that do not fit; IndexError for an index outside the plane.
///
///     auto [y, places] = max_pool2d_with_indices(x, {2});   // x of shape (1, 1, 4, 4)
///     max_unpool2d(y, places, {4, 4});                      // x where it was largest, 0 elsewhere
NORCH_DECLARE_POOL(1)
NORCH_DECLARE_POOL(2)
NORCH_DECLARE_POOL(3)
#undef NORCH_DECLARE_POOL

/// The sum of each window over its size: with the padding, without it, or a given divisor. Float dtypes, and int64
/// (the quotient rounded towards zero).
NORCH_API Tensor avg_pool1d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            bool ceil_mode = false, bool count_include_pad = true);
NORCH_API Tensor avg_pool2d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            bool ceil_mode = false, bool count_include_pad = true,
                            std::optional<int64_t> divisor_override = {});
NORCH_API Tensor avg_pool3d(const Tensor& input, Ints kernel_size, Ints stride = {}, Ints padding = {0},
                            bool ceil_mode = false, bool count_include_pad = true,
                            std::optional<int64_t> divisor_override = {});

/// Max pooling over windows at random places that together give `output_size` (one number per spatial dim): see
/// "Fractional Max-Pooling", Graham 2014. `samples` (batch, channels, dims), in [0, 1), choose the places; drawn from the
/// default generator if undefined. Also returns the indices in the plane. Input (channels, ...) or (batch, channels, ...),
/// float dtypes. \throws Error when windows do not fit.
NORCH_API std::pair<Tensor, Tensor> fractional_max_pool2d(const Tensor& input, Ints kernel_size, Ints output_size,
                                                          const Tensor& samples = {});
NORCH_API std::pair<Tensor, Tensor> fractional_max_pool3d(const Tensor& input, Ints kernel_size, Ints output_size,
                                                          const Tensor& samples = {});

/// x / (k + alpha * m)^beta, where m is the mean of x^2 over `size` neighbouring channels (dim 1), zeros outside.
/// Input (batch, channels, spatial dims...). \throws ValueError for less than 3 dims.
NORCH_API Tensor local_response_norm(const Tensor& input, int64_t size, double alpha = 1e-4, double beta = 0.75,
                                     double k = 1);

}  // namespace norch
