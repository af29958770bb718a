// Convolution as one product of matrices (im2col), for small images of many channels: their rows of positions are too
// short to fill the vectors of conv.cpp, and the weights, which there have to be brought into panels, weigh more than
// the images.
#pragma once

#include "kernels/conv.h"

namespace norch::kernels::cpu {

/// Whether the three functions below are the faster way, for float32 or float64. Goes by shapes alone.
bool takes_columns(const Conv& conv, DType t);

// As the kernels of kernels/conv.h.
void columns_forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias);
void columns_backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w);
void columns_backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x);

}  // namespace norch::kernels::cpu
