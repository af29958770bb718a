// Normalisation. T is the dtype of inputs, results and their gradients; statistics, weights and their gradients have its
// compute type (float32, or float64 for float64). All tensors are contiguous; those marked optional may be undefined.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Each of `rows` rows of n elements: out = (x - mean) * rstd * weight + bias, where mean and rstd = 1 / sqrt(variance +
/// eps) are the row's own and are stored (one per row). With an undefined `mean` it is RMS normalisation: nothing is
/// subtracted and rstd = 1 / sqrt(mean of squares + eps). Optional: weight, bias.
NORCH_KERNEL(layer_norm, void(int64_t rows, int64_t n, const Tensor& out, const Tensor& mean, const Tensor& rstd,
                              const Tensor& x, const Tensor& weight, const Tensor& bias, double eps))
/// Gradients of that for the gradient g of its result. Optional: mean (RMS), weight, and each of dx, dweight, dbias.
NORCH_KERNEL(layer_norm_backward, void(int64_t rows, int64_t n, const Tensor& dx, const Tensor& dweight,
                                       const Tensor& dbias, const Tensor& g, const Tensor& x, const Tensor& mean,
                                       const Tensor& rstd, const Tensor& weight))

/// A tensor seen as (outer, channels, inner), or, with an `inner` of 1, as (samples, outer, channels), whose channels are
/// those of each sample.
struct ChannelShape {
  int64_t outer, channels, inner, samples = 1;
};
/// out = a * x + b * y + c with one a, b, c per channel. Optional: y and b together.
NORCH_KERNEL(channel_affine, void(const ChannelShape& shape, const Tensor& out, const Tensor& x, const Tensor& a,
                                  const Tensor& y, const Tensor& b, const Tensor& c))
/// For each channel the sum of g, and the sum of g * (x - mean).
NORCH_KERNEL(channel_sums, void(const ChannelShape& shape, const Tensor& sum_g, const Tensor& sum_gx, const Tensor& g,
                                const Tensor& x, const Tensor& mean))

}  // namespace norch::kernels
