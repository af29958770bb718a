// Convolutions of 16-bit floats on the tensor cores, by norch's own kernels.
#pragma once

#include "kernels/conv.h"

namespace norch::kernels::cuda {

/// The kernels of conv.h, for 16-bit floats in up to two spatial dims; with groups, the channels of each have to be
/// multiples of 8. False, having done nothing, for all else and on GPUs of compute capability below 8.0. What is not
/// channels-last, or not of such a number of channels, is copied on its way in and out.
bool conv_forward_product(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias);
bool conv_backward_input_product(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w);
bool conv_backward_weight_product(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x);

}  // namespace norch::kernels::cuda
