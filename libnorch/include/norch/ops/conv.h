// Convolution and transposed convolution.
//
// Shapes are (batch, channels, spatial dims...), or without the batch; weight is (out channels, in channels / groups,
// kernel dims...), for transposed convolution (in channels, out channels / groups, kernel dims...); bias is (out
// channels) or undefined. stride, padding and dilation are one number or one per spatial dim. Any dtype but bool (integers
// work, slowly); all operands have the same. \throws Error for shapes, dtypes or devices that do not fit, and for
// numbers out of range.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// valid: no padding. same: as much as keeps the spatial sizes (an odd zero goes behind); needs stride 1.
enum class ConvPadding { valid, same };

/// out[o, p] = bias[o] + sum over c, t of weight[o, c, t] * input[c, p * stride + t * dilation - padding]: each spatial
/// size becomes floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1.
NORCH_API Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, Ints stride = {1},
                        Ints padding = {0}, Ints dilation = {1}, int64_t groups = 1);
NORCH_API Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, Ints stride = {1},
                        Ints padding = {0}, Ints dilation = {1}, int64_t groups = 1);
NORCH_API Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, Ints stride = {1},
                        Ints padding = {0}, Ints dilation = {1}, int64_t groups = 1);
NORCH_API Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
                        ConvPadding padding, Ints dilation = {1}, int64_t groups = 1);
NORCH_API Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
                        ConvPadding padding, Ints dilation = {1}, int64_t groups = 1);
NORCH_API Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
                        ConvPadding padding, Ints dilation = {1}, int64_t groups = 1);

/// The gradient of a convolution by its input, as an op: each spatial size becomes
/// (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1.
NORCH_API Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, Ints stride = {1},
                                  Ints padding = {0}, Ints output_padding = {0}, int64_t groups = 1,
                                  Ints dilation = {1});
NORCH_API Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, Ints stride = {1},
                                  Ints padding = {0}, Ints output_padding = {0}, int64_t groups = 1,
                                  Ints dilation = {1});
NORCH_API Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, Ints stride = {1},
                                  Ints padding = {0}, Ints output_padding = {0}, int64_t groups = 1,
                                  Ints dilation = {1});

}  // namespace norch
