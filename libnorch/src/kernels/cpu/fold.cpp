#include "kernels/fold.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/planes.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Calls f(input index, window) for every window whose tap t lies inside the image.
template <class F>
void over_windows(const Conv& c, int64_t t, const F& f) {
  const int64_t tap[3] = {t / (c.kernel[1] * c.kernel[2]), t / c.kernel[2] % c.kernel[1], t % c.kernel[2]};
  int64_t shift[3];
  for (int d = 0; d < 3; ++d) shift[d] = tap[d] * c.dilation[d] - c.pad[d];
  for (int64_t p0 = 0; p0 < c.out[0]; ++p0)
    for (int64_t p1 = 0; p1 < c.out[1]; ++p1) {
      const int64_t i0 = p0 * c.stride[0] + shift[0], i1 = p1 * c.stride[1] + shift[1];
      if (i0 < 0 || i0 >= c.in[0] || i1 < 0 || i1 >= c.in[1]) continue;
      for (int64_t p2 = 0; p2 < c.out[2]; ++p2) {
        const int64_t i2 = p2 * c.stride[2] + shift[2];
        if (i2 >= 0 && i2 < c.in[2]) f((i0 * c.in[1] + i1) * c.in[2] + i2, (p0 * c.out[1] + p1) * c.out[2] + p2);
      }
    }
}

/// For each output position of the three dims, in order, f(output index, input index).
template <class F>
void over_border(const Pad& p, const F& f) {
  std::vector<int64_t> source(static_cast<size_t>(p.out[2]));
  for (int64_t o = 0; o < p.out[2]; ++o) source[o] = pad_source(p, 2, o);
  int64_t at = 0;
  for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
    for (int64_t o1 = 0; o1 < p.out[1]; ++o1) {
      const int64_t row = (pad_source(p, 0, o0) * p.in[1] + pad_source(p, 1, o1)) * p.in[2];
      for (int64_t o2 = 0; o2 < p.out[2]; ++o2) f(at++, row + source[o2]);
    }
}

}  // namespace

void unfold_patches(const Conv& c, const Tensor& out, const Tensor& x) {
  visit_width(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t windows = c.out_size(), taps = c.taps();
    parallel_for(c.n * c.c_in * taps, plane_grain(windows), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T* dst = static_cast<T*>(out.data_ptr()) + i * windows;
        const T* src = static_cast<const T*>(x.data_ptr()) + i / taps * c.in_size();
        std::fill(dst, dst + windows, T{});
        over_windows(c, i % taps, [&](int64_t at, int64_t window) { dst[window] = src[at]; });
      }
    });
  });
}

void fold_patches(const Conv& c, const Tensor& out, const Tensor& columns) {
  visit_float("fold", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t windows = c.out_size(), taps = c.taps();
    sum_planes<T>(out, c.n * c.c_in, c.in_size(), c.in_size(), [&](int64_t plane, C* sums) {
      const T* src = static_cast<const T*>(columns.data_ptr()) + plane * taps * windows;
      for (int64_t t = 0; t < taps; ++t, src += windows)
        over_windows(c, t, [&](int64_t at, int64_t window) { sums[at] += static_cast<C>(src[window]); });
    });
  });
}

void pad_border(const Pad& p, const Tensor& out, const Tensor& x) {
  visit_float("pad", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t in = p.in[0] * p.in[1] * p.in[2], n = p.out[0] * p.out[1] * p.out[2];
    parallel_for(p.planes, plane_grain(n), [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const T* src = static_cast<const T*>(x.data_ptr()) + plane * in;
        T* dst = static_cast<T*>(out.data_ptr()) + plane * n;
        over_border(p, [&](int64_t o, int64_t i) { dst[o] = src[i]; });
      }
    });
  });
}

void pad_border_backward(const Pad& p, const Tensor& gx, const Tensor& g) {
  visit_float("pad", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t in = p.in[0] * p.in[1] * p.in[2], n = p.out[0] * p.out[1] * p.out[2];
    sum_planes<T>(gx, p.planes, in, in, [&](int64_t plane, C* sums) {
      const T* src = static_cast<const T*>(g.data_ptr()) + plane * n;
      over_border(p, [&](int64_t o, int64_t i) { sums[i] += static_cast<C>(src[o]); });
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
