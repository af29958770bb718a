// Affine maps of the last dim.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// input @ weight^T + bias: input (..., in), weight (out, in) or (in), bias (out) or undefined -> (..., out).
/// \throws Error for shapes, dtypes or devices that do not fit.
NORCH_API Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias = {});
/// out[..., o] = sum over i, j of input1[..., i] * weight[o, i, j] * input2[..., j] + bias[o].
/// \throws Error for shapes, dtypes or devices that do not fit.
NORCH_API Tensor bilinear(const Tensor& input1, const Tensor& input2, const Tensor& weight, const Tensor& bias = {});

}  // namespace norch
