// Softmax, its gradient and logsumexp along a dim.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// A contiguous tensor seen as (outer, n, inner); softmax runs along n.
struct SoftmaxShape {
  int64_t outer, n, inner;
};

/// out = exp(in) / sum(exp(in)), or its logarithm with `log`. Floats of one dtype.
NORCH_KERNEL(softmax, void(bool log, const SoftmaxShape& shape, const Tensor& out, const Tensor& in))
/// grad_in = y * (g - sum(g * y)), or g - exp(y) * sum(g) for the logarithm. All contiguous, of one dtype.
NORCH_KERNEL(softmax_backward, void(bool log, const SoftmaxShape& shape, const Tensor& grad_in, const Tensor& g,
                                    const Tensor& y))
/// out = log(sum(exp(in))), a number for each of (outer, inner): -inf of nothing but -inf, +inf with a +inf. Floats of one
/// dtype, n > 0.
NORCH_KERNEL(logsumexp, void(const SoftmaxShape& shape, const Tensor& out, const Tensor& in))

}  // namespace norch::kernels
