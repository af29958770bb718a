// Convolution of integers: a sum over the kernel's taps of matrix products. Exact, and not meant to be fast.
#pragma once

#include "kernels/conv.h"
#include "norch/tensor.h"

namespace norch {

/// x (n, c_in, in...) with w (c_out, c_in / groups, kernel...) to `shape`; an undefined bias is none.
Tensor integer_convolution(const kernels::Conv& c, Ints shape, const Tensor& x, const Tensor& w, const Tensor& bias);
/// The adjoint: g (n, c_out, out...) to `shape` (n, c_in, in...).
Tensor integer_transposed(const kernels::Conv& c, Ints shape, const Tensor& g, const Tensor& w);

}  // namespace norch
