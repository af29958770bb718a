// Normalisation. T is the dtype of inputs, results and their gradients; statistics, weights and their gradients have its
// compute type (float32, or float64 for float64). All tensors are contiguous; those marked optional may be undefined.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Each of `rows` rows of n elements: out = (x - mean) * rstd * weight + bias, where mean and rstd = 1 / sqrt(variance +
/// eps) are the row's own and are stored (one per row). With an undefined `mean` it is RMS normalisation: nothing is
/// subtracted and rstd = 1 / sqrt(mean of squares + eps). `twin` gets the result in bfloat16 or float16, for x in float32.
/// Optional: weight, bias, twin.
NORCH_KERNEL(layer_norm, void(int64_t rows, int64_t n, const Tensor& out, const Tensor& twin, const Tensor& mean,
                              const Tensor& rstd, const Tensor& x, const Tensor& weight, const Tensor& bias, double eps))
/// Each of `rows` rows of n elements of x: out = x / max(|x|, eps), in the 2-norm.
NORCH_KERNEL(normalize_rows, void(int64_t rows, int64_t n, const Tensor& out, const Tensor& x, double eps))
/// Gradients of that for the gradient g of its result. With `add` the gradient of x is added to what dx holds; `twin` gets
/// what dx gets in bfloat16 or float16, for x in float32, and `sums` (on CUDA, where g is narrower than x) the
/// sum over the rows of what dx gets. Optional: mean (RMS), weight, twin, sums, and each of dx, dweight, dbias. On
/// CUDA, g of a narrower float dtype than x, `add` and twin are for layer_norm_in_one_pass alone.
NORCH_KERNEL(layer_norm_backward, void(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin,
                                       const Tensor& sums, const Tensor& dweight, const Tensor& dbias, const Tensor& g,
                                       const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight))
/// Whether the CUDA twin makes the gradients of x and of a weight or bias in one pass over x's rows of n elements, given
/// these tensors as they lie: rows that a block can hold, read by 16 bytes.
inline bool layer_norm_in_one_pass(int64_t n, const Tensor& x, const Tensor& g, const Tensor& weight) {
  const int64_t vector = 16 / static_cast<int64_t>(x.itemsize());
  if (x.dtype() == DType::Float64 || n % vector != 0 || n > 1024 * vector || !g.is_contiguous()) return false;
  for (const Tensor* t : {&x, &g, &weight})
    if (t->defined() && reinterpret_cast<uintptr_t>(t->data_ptr()) % 16 != 0) return false;
  return true;
}

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
