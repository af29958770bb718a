// What the normalisations share.
#pragma once

#include "autograd/record.h"
#include "norch/ops/binary.h"
#include "norch/ops/norm.h"
#include "norch/ops/reduce.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

/// The dtype of statistics and weights inside the kernels.
inline DType stats_dtype(const Tensor& x) { return x.dtype() == DType::Float64 ? DType::Float64 : DType::Float32; }

/// A weight as the kernels want it; undefined stays undefined.
inline Tensor as_stats(const Tensor& w, const Tensor& x) {
  return w.defined() ? w.detach().to(stats_dtype(x)).contiguous() : Tensor();
}

/// `t` in that shape: itself where it has it, so that a leaf can take it as its gradient.
inline Tensor in_shape(const Tensor& t, Ints shape) { return t.sizes() == shape ? t : reshape(t, shape); }

struct NormGradients {
  Tensor x, weight, bias;
};

/// Gradients written in ordinary ops, for when they must be differentiable themselves. `view` is the shape under which
/// `dims` are the dims of the statistics and `affine` is the shape of weight and bias. Fixed statistics (of that view,
/// undefined: the input's own) take no part in the gradient; `center` says whether the mean is subtracted.
NormGradients norm_gradients(const Tensor& g, const Tensor& x, const Tensor& weight, Ints view, Ints affine, Ints dims,
                             double eps, bool center, const Tensor& fixed_mean = {}, const Tensor& fixed_rstd = {});

/// \throws Error unless `w` is undefined or has `channels` elements, on x's device.
void check_channels(const char* op, const char* what, const Tensor& w, const Tensor& x, int64_t channels);

}  // namespace norch
