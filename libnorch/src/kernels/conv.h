// Convolution in up to three spatial dims, and its two gradients.
#pragma once

#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// out[n, o, p] = sum over c, t of w[o, c, t] * x[n, group(o) * c_in / groups + c, p * stride + t * dilation - pad],
/// where p is a position, t a tap of the kernel, and x is zero outside. Dims that a 1-d or 2-d convolution lacks come
/// first and have size 1. What of the input lies behind the last position needs no padding of its own: `in` and `out`
/// say all.
struct Conv {
  int64_t n = 0, groups = 1, c_in = 0, c_out = 0;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};
  int64_t channels_last = 0;  // whether the channels of all three tensors are innermost (a number: no padding behind it)

  int64_t in_size() const { return in[0] * in[1] * in[2]; }
  int64_t out_size() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// Every tensor is dense, of one float dtype, and has elements; shapes are (n, channels, ...) and
// (c_out, c_in / groups, ...), row-major or with the second dim innermost.

/// `bias` (c_out) may be undefined.
NORCH_KERNEL(conv_forward, void(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w,
                                const Tensor& bias))
/// gx[n, c, i] = sum of g[n, o, p] * w[o, c, t] over all o, p, t that use x[n, c, i] above.
NORCH_KERNEL(conv_backward_input, void(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w))
/// gw[o, c, t] = sum of g[n, o, p] * x[n, c, p * stride + t * dilation - pad] over n and p.
NORCH_KERNEL(conv_backward_weight, void(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x))

}  // namespace norch::kernels
