// Pooling over windows of up to three spatial dims, and its gradients. Fewer dims are the last ones; sizes and windows of
// the others are 1.
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Every tensor is contiguous: (planes, in) or (planes, out).
struct Pool {
  int64_t planes = 0;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};
  bool adaptive = false;  // window o is [floor(o * in / out), ceil((o + 1) * in / out))
  bool count_include_pad = true;
  int64_t divisor = 0;  // of an average; 0: the window's size

  NORCH_HD int64_t in_size() const { return in[0] * in[1] * in[2]; }
  NORCH_HD int64_t out_size() const { return out[0] * out[1] * out[2]; }
  NORCH_HD int64_t step(int d) const { return adaptive ? 1 : dilation[d]; }
};

/// The largest element of each window, the last NaN if there is one, and its index in the plane (int64), unless
/// `indices` is undefined. A window whose taps all lie in the padding gives the least value and the index -1.
NORCH_KERNEL(max_pool, void(const Pool& pool, const Tensor& out, const Tensor& indices, const Tensor& x))
/// gx[i] = sum of g[p] over the windows p whose index is i.
NORCH_KERNEL(max_pool_scatter, void(const Pool& pool, const Tensor& gx, const Tensor& g, const Tensor& indices))
/// out[p] = x[index of window p], 0 for index -1.
NORCH_KERNEL(max_pool_gather, void(const Pool& pool, const Tensor& out, const Tensor& x, const Tensor& indices))
/// Float dtypes or int64.
NORCH_KERNEL(avg_pool, void(const Pool& pool, const Tensor& out, const Tensor& x))
NORCH_KERNEL(avg_pool_backward, void(const Pool& pool, const Tensor& gx, const Tensor& g))

inline namespace NORCH_ISA {

/// A window along one dim.
struct PoolWindow {
  int64_t begin, end;  // inside the input; taps are `dilation` apart
  int64_t full;        // size with padding, as averages count it
};

NORCH_HD PoolWindow pool_window(const Pool& p, int d, int64_t o) {
  if (p.adaptive) {
    const int64_t begin = o * p.in[d] / p.out[d], end = ((o + 1) * p.in[d] + p.out[d] - 1) / p.out[d];
    return {begin, end, end - begin};
  }
  const int64_t start = o * p.stride[d] - p.pad[d], stop = start + (p.kernel[d] - 1) * p.dilation[d] + 1;
  const int64_t begin = start >= 0 ? start : (start % p.dilation[d] + p.dilation[d]) % p.dilation[d];
  const int64_t padded = p.in[d] + p.pad[d];
  return {begin, stop < p.in[d] ? stop : p.in[d], (stop < padded ? stop : padded) - start};
}

/// What the maximum of nothing is.
template <class C>
NORCH_HD C pool_least() {
  if constexpr (std::is_floating_point_v<C>)
    return -static_cast<C>(INFINITY);
  else
    return std::is_signed_v<C> ? static_cast<C>(uint64_t{1} << (8 * sizeof(C) - 1)) : C(0);
}

/// The first and one past the last window along dim d that may hold input position i.
NORCH_HD void pool_windows_at(const Pool& p, int d, int64_t i, int64_t& first, int64_t& last) {
  if (p.adaptive) {
    first = i * p.out[d] / p.in[d];
    last = ((i + 1) * p.out[d] + p.in[d] - 1) / p.in[d];
    return;
  }
  const int64_t reach = i + p.pad[d] - (p.kernel[d] - 1) * p.dilation[d];
  first = reach <= 0 ? 0 : (reach + p.stride[d] - 1) / p.stride[d];
  last = (i + p.pad[d]) / p.stride[d] + 1;
  if (last > p.out[d]) last = p.out[d];
}

/// A window of all dims.
struct PoolBox {
  PoolWindow w[3];
  NORCH_HD PoolBox(const Pool& p, int64_t o0, int64_t o1, int64_t o2)
      : w{pool_window(p, 0, o0), pool_window(p, 1, o1), pool_window(p, 2, o2)} {}
  NORCH_HD bool empty() const { return w[0].begin >= w[0].end || w[1].begin >= w[1].end || w[2].begin >= w[2].end; }
  NORCH_HD bool holds(int64_t i0, int64_t i1, int64_t i2) const {
    return i0 >= w[0].begin && i0 < w[0].end && i1 >= w[1].begin && i1 < w[1].end && i2 >= w[2].begin && i2 < w[2].end;
  }
  /// Calls f(index in the plane) for each tap inside the input, in order.
  template <class F>
  NORCH_HD void over(const Pool& p, const F& f) const {
    const int64_t s0 = p.step(0), s1 = p.step(1), s2 = p.step(2);
    for (int64_t i = w[0].begin; i < w[0].end; i += s0)
      for (int64_t j = w[1].begin; j < w[1].end; j += s1)
        for (int64_t k = w[2].begin; k < w[2].end; k += s2) f((i * p.in[1] + j) * p.in[2] + k);
  }
  /// What an average over the window divides by.
  NORCH_HD int64_t divisor(const Pool& p) const {
    if (p.divisor) return p.divisor;
    if (p.count_include_pad) return w[0].full * w[1].full * w[2].full;
    return (w[0].end - w[0].begin) * (w[1].end - w[1].begin) * (w[2].end - w[2].begin);
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
