// Pooling over windows of up to three spatial dims, and its gradients. Fewer dims are the last ones; sizes and windows of
// the others are 1.
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/narrow_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Tensors are dense: (planes, in) or (planes, out), or, with the channels of a sample innermost, (planes / channels, in,
/// channels). I is the type in which places are computed.
template <class I>
struct PoolOf {
  I planes = 0;
  I in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  I kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};
  I channels = 1;  // that lie side by side: 1 in row-major tensors
  bool channels_last = false;
  bool adaptive = false;  // window o is [floor(o * in / out), ceil((o + 1) * in / out))
  bool count_include_pad = true;
  int64_t divisor = 0;  // of an average; 0: the window's size

  PoolOf() = default;
  template <class J>
  explicit PoolOf(const PoolOf<J>& p)
      : planes(static_cast<I>(p.planes)), channels(static_cast<I>(p.channels)), channels_last(p.channels_last),
        adaptive(p.adaptive), count_include_pad(p.count_include_pad), divisor(p.divisor) {
    for (int d = 0; d < 3; ++d) {
      in[d] = static_cast<I>(p.in[d]);
      out[d] = static_cast<I>(p.out[d]);
      kernel[d] = static_cast<I>(p.kernel[d]);
      stride[d] = static_cast<I>(p.stride[d]);
      pad[d] = static_cast<I>(p.pad[d]);
      dilation[d] = static_cast<I>(p.dilation[d]);
    }
  }

  NORCH_HD I in_size() const { return in[0] * in[1] * in[2]; }
  NORCH_HD I out_size() const { return out[0] * out[1] * out[2]; }
  NORCH_HD I step(int d) const { return adaptive ? 1 : dilation[d]; }
};
using Pool = PoolOf<int64_t>;

/// Whether 32 bits do for all places of a pool: then indices are int32, otherwise int64.
inline bool fits_32_bits(const Pool& p) {
  constexpr int64_t kMost = int64_t{1} << 30;
  bool fits = p.planes * p.in_size() < kMost && p.planes * p.out_size() < kMost;
  for (int d = 0; d < 3; ++d)
    fits &= p.adaptive ? (p.in[d] + 1) * (p.out[d] + 1) < kMost
                       : p.in[d] + 2 * p.pad[d] + (p.kernel[d] - 1) * p.dilation[d] + p.out[d] * p.stride[d] < kMost;
  return fits;
}

/// The largest element of each window, the last NaN if there is one, and its index in the plane, unless `indices` is
/// undefined. A window whose taps all lie in the padding gives the least value and the index -1.
NORCH_NARROW_KERNEL(max_pool, void(const Pool& pool, const Tensor& out, const Tensor& indices, const Tensor& x))
/// gx[i] = sum of g[p] over the windows p whose index is i.
NORCH_NARROW_KERNEL(max_pool_scatter, void(const Pool& pool, const Tensor& gx, const Tensor& g, const Tensor& indices))
/// out[p] = x[index of window p], 0 for index -1.
NORCH_NARROW_KERNEL(max_pool_gather, void(const Pool& pool, const Tensor& out, const Tensor& x, const Tensor& indices))
/// Float dtypes or int64.
NORCH_NARROW_KERNEL(avg_pool, void(const Pool& pool, const Tensor& out, const Tensor& x))
NORCH_NARROW_KERNEL(avg_pool_backward, void(const Pool& pool, const Tensor& gx, const Tensor& g))

inline namespace NORCH_ISA {

/// A window along one dim.
template <class I>
struct PoolWindow {
  I begin, end;  // inside the input; taps are `dilation` apart
  I full;        // size with padding, as averages count it
};

template <class I>
NORCH_HD PoolWindow<I> pool_window(const PoolOf<I>& p, int d, I o) {
  if (p.adaptive) {
    const I begin = o * p.in[d] / p.out[d], end = ((o + 1) * p.in[d] + p.out[d] - 1) / p.out[d];
    return {begin, end, end - begin};
  }
  const I start = o * p.stride[d] - p.pad[d], stop = start + (p.kernel[d] - 1) * p.dilation[d] + 1;
  const I begin = start >= 0 ? start : (start % p.dilation[d] + p.dilation[d]) % p.dilation[d];
  const I padded = p.in[d] + p.pad[d];
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

/// The first and one past the last window along dim d that may hold input position i. by_stride(n) is n / p.stride[d].
template <class I, class F>
NORCH_HD void pool_windows_at(const PoolOf<I>& p, int d, I i, I& first, I& last, const F& by_stride) {
  if (p.adaptive) {
    first = i * p.out[d] / p.in[d];
    last = ((i + 1) * p.out[d] + p.in[d] - 1) / p.in[d];
    return;
  }
  const I reach = i + p.pad[d] - (p.kernel[d] - 1) * p.dilation[d];
  first = reach <= 0 ? 0 : by_stride(reach + p.stride[d] - 1);
  last = by_stride(i + p.pad[d]) + 1;
  if (last > p.out[d]) last = p.out[d];
}

/// A window of all dims.
template <class I>
struct PoolBox {
  PoolWindow<I> w[3];
  NORCH_HD PoolBox(const PoolOf<I>& p, I o0, I o1, I o2)
      : w{pool_window(p, 0, o0), pool_window(p, 1, o1), pool_window(p, 2, o2)} {}
  NORCH_HD bool empty() const { return w[0].begin >= w[0].end || w[1].begin >= w[1].end || w[2].begin >= w[2].end; }
  NORCH_HD bool holds(I i0, I i1, I i2) const {
    return i0 >= w[0].begin && i0 < w[0].end && i1 >= w[1].begin && i1 < w[1].end && i2 >= w[2].begin && i2 < w[2].end;
  }
  /// Calls f(index in the plane) for each tap inside the input, in order.
  template <class F>
  NORCH_HD void over(const PoolOf<I>& p, const F& f) const {
    const I s0 = p.step(0), s1 = p.step(1), s2 = p.step(2);
    for (I i = w[0].begin; i < w[0].end; i += s0)
      for (I j = w[1].begin; j < w[1].end; j += s1)
        for (I k = w[2].begin; k < w[2].end; k += s2) f((i * p.in[1] + j) * p.in[2] + k);
  }
  /// What an average over the window divides by.
  NORCH_HD int64_t divisor(const PoolOf<I>& p) const {
    if (p.divisor) return p.divisor;
    int64_t n = 1;
    for (int d = 0; d < 3; ++d) n *= p.count_include_pad ? w[d].full : w[d].end - w[d].begin;
    return n;
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
