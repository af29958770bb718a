// Convolution of channels-last tensors as products of matrices: a position is a row of channels, so that the rows that a
// tap reads are copied whole, results are rows of the output, and a pointwise convolution is one product of the tensors
// as they are.
#pragma once

#include "kernels/conv.h"

namespace norch::kernels::cpu {

/// Whether the three functions below take a channels-last convolution; the others are converted to row-major.
bool takes_last(const Conv& conv, DType t);

// As the kernels of kernels/conv.h.
void last_forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias);
void last_backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w);
void last_backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x);

}  // namespace norch::kernels::cpu
