// Differences, slopes and areas of sampled functions. All differentiable.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// The n-th difference along `dim`: x[i + 1] - x[i], n times (xor for bool). `prepend` and `append` (undefined: none)
/// are joined on first. \throws Error for a 0-d tensor or n < 0.
NORCH_API Tensor diff(const Tensor& x, int64_t n = 1, int64_t dim = -1, const Tensor& prepend = {},
                      const Tensor& append = {});
/// The slopes along each of `dims` (none: all) by central differences, at the ends by one-sided ones of `edge_order` 1
/// or 2. `spacing` holds for every dim the step (0-d) or the places of the samples (1-d); empty means steps of 1.
NORCH_API TensorList gradient(const Tensor& x, const TensorList& spacing = {}, Ints dims = {}, int64_t edge_order = 1);
/// The area under y along `dim` by the trapezoidal rule: samples `dx` apart, or at the places x.
NORCH_API Tensor trapezoid(const Tensor& y, const Scalar& dx = 1, int64_t dim = -1);
NORCH_API Tensor trapezoid(const Tensor& y, const Tensor& x, int64_t dim = -1);
/// The same, up to every sample but the first.
NORCH_API Tensor cumulative_trapezoid(const Tensor& y, const Scalar& dx = 1, int64_t dim = -1);
NORCH_API Tensor cumulative_trapezoid(const Tensor& y, const Tensor& x, int64_t dim = -1);

}  // namespace norch
