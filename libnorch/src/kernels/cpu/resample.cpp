// One plane at a time: along the last dim first, then whole rows along the others, through buffers that stay in cache.
#include "kernels/resample.h"

#include <algorithm>
#include <type_traits>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class C>
struct Taps {
  const int32_t *begin, *index;
  const C* weight;
  explicit Taps(const ResampleDim& d)
      : begin(static_cast<const int32_t*>(d.begin.data_ptr())),
        index(static_cast<const int32_t*>(d.index.data_ptr())),
        weight(d.weight.defined() ? static_cast<const C*>(d.weight.data_ptr()) : nullptr) {}
};

/// The same number of taps for every output along the dim, or 0.
template <class C>
int uniform_taps(const Taps<C>& t, int64_t out) {
  const int n = t.begin[1] - t.begin[0];
  for (int64_t o = 1; o < out; ++o)
    if (t.begin[o + 1] - t.begin[o] != n) return 0;
  return n;
}

template <int N, class C, class T>
void along_row(const Taps<C>& t, C* dst, const T* src, int64_t out) {
  const int32_t* index = t.index;
  const C* weight = t.weight;
  for (int64_t o = 0; o < out; ++o, index += N, weight += N) {
    C sum = 0;
    for (int k = 0; k < N; ++k) sum += weight[k] * static_cast<C>(src[index[k]]);
    dst[o] = sum;
  }
}

template <class C, class T>
void along_row(const Taps<C>& t, int taps, C* dst, const T* src, int64_t out) {
  if (!t.weight) {
    for (int64_t o = 0; o < out; ++o) {
      C sum = 0;
      for (int32_t k = t.begin[o]; k < t.begin[o + 1]; ++k) sum += static_cast<C>(src[t.index[k]]);
      dst[o] = sum;
    }
    return;
  }
  if (taps == 2) return along_row<2>(t, dst, src, out);
  if (taps == 4) return along_row<4>(t, dst, src, out);
  for (int64_t o = 0; o < out; ++o) {
    C sum = 0;
    for (int32_t k = t.begin[o]; k < t.begin[o + 1]; ++k) sum += t.weight[k] * static_cast<C>(src[t.index[k]]);
    dst[o] = sum;
  }
}

/// dst (out, n) from src (in, n), along the first dim.
template <class C>
void along_rows(const Taps<C>& t, C* dst, const C* src, int64_t out, int64_t n) {
  for (int64_t o = 0; o < out; ++o, dst += n) {
    const int32_t first = t.begin[o], last = t.begin[o + 1];
    const auto weight = [&](int32_t k) { return t.weight ? t.weight[k] : C(1); };
    const auto row = [&](int32_t k) { return src + t.index[k] * n; };
    int32_t k = first;
    if (last - first >= 2) {
      const C *a = row(k), *b = row(k + 1);
      const C wa = weight(k), wb = weight(k + 1);
      for (int64_t i = 0; i < n; ++i) dst[i] = wa * a[i] + wb * b[i];
      k += 2;
    } else if (last > first) {
      const C* a = row(k);
      const C wa = weight(k);
      for (int64_t i = 0; i < n; ++i) dst[i] = wa * a[i];
      k += 1;
    } else {
      std::fill(dst, dst + n, C(0));
    }
    for (; k < last; ++k) {
      const C* a = row(k);
      const C wa = weight(k);
      for (int64_t i = 0; i < n; ++i) dst[i] += wa * a[i];
    }
  }
}

/// Whether every output along a dim is one element of the input: the nearest modes.
bool picks(const ResampleDim& d) {
  if (!d.begin.defined()) return true;
  return !d.weight.defined() && d.index.numel() == d.out && uniform_taps(Taps<float>(d), d.out) == 1;
}

int64_t picked(const ResampleDim& d, int64_t o) {
  return d.begin.defined() ? static_cast<const int32_t*>(d.index.data_ptr())[o] : o;
}

template <class T>
void pick(const Resample& r, T* out, const T* x) {
  const ResampleDim &d0 = r.dim[0], &d1 = r.dim[1], &d2 = r.dim[2];
  const int64_t rows = d0.out * d1.out;
  parallel_for(r.planes * rows, 1 + 16384 / d2.out, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t plane = i / rows, o0 = i / d1.out % d0.out, o1 = i % d1.out;
      const T* src = x + ((plane * d0.in + picked(d0, o0)) * d1.in + picked(d1, o1)) * d2.in;
      T* dst = out + i * d2.out;
      // A row that repeats the one before.
      if (i > first && o1 > 0 && picked(d1, o1) == picked(d1, o1 - 1)) {
        std::copy(dst - d2.out, dst, dst);
      } else if (!d2.begin.defined()) {
        std::copy(src, src + d2.out, dst);
      } else {
        const int32_t* index = static_cast<const int32_t*>(d2.index.data_ptr());
        for (int64_t o = 0; o < d2.out; ++o) dst[o] = src[index[o]];
      }
    }
  });
}

}  // namespace

void resample(const Resample& r, const Tensor& out, const Tensor& x) {
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const ResampleDim &d0 = r.dim[0], &d1 = r.dim[1], &d2 = r.dim[2];
    const T* from = static_cast<const T*>(x.data_ptr());
    T* to = static_cast<T*>(out.data_ptr());
    if (picks(d0) && picks(d1) && picks(d2)) return pick(r, to, from);
    const int64_t in = d0.in * d1.in * d2.in, wide = d0.in * d1.in * d2.out, tall = d0.in * d1.out * d2.out,
                  n = d0.out * d1.out * d2.out;
    const int taps = d2.begin.defined() ? uniform_taps(Taps<C>(d2), d2.out) : 0;
    parallel_for(r.planes, 1 + 8192 / (wide + n), [&](int64_t first, int64_t last) {
      // Each stage writes where the next one reads; the last into `done`, from where elements are rounded.
      const Tensor memory = new_tensor({wide + tall + n}, dtype_of<C>, kCPU);
      C* const a = static_cast<C*>(memory.data_ptr());
      C* const b = a + wide;
      C* const done = b + tall;
      for (int64_t plane = first; plane < last; ++plane) {
        const T* src = from + plane * in;
        T* dst = to + plane * n;
        const bool second = d1.begin.defined(), third = d0.begin.defined();
        // float and double results need no rounding: the last stage writes them in place.
        C* end = done;
        if constexpr (std::is_same_v<T, C>) end = dst;
        C* row_results = second || third ? a : end;
        if (d2.begin.defined()) {
          const Taps<C> t(d2);
          for (int64_t i = 0; i < d0.in * d1.in; ++i)
            along_row(t, taps, row_results + i * d2.out, src + i * d2.in, d2.out);
        } else {
          for (int64_t i = 0; i < in; ++i) row_results[i] = static_cast<C>(src[i]);
        }
        const C* now = row_results;
        const auto settle = [](C* v, int64_t count) {
          if constexpr (std::is_integral_v<T>)
            for (int64_t i = 0; i < count; ++i) v[i] = static_cast<C>(resampled<T>(v[i]));
        };
        if (second || third) settle(a, wide);
        if (second) {
          C* results = third ? b : end;
          const Taps<C> t(d1);
          for (int64_t i = 0; i < d0.in; ++i)
            along_rows(t, results + i * d1.out * d2.out, now + i * d1.in * d2.out, d1.out, d2.out);
          if (third) settle(results, tall);
          now = results;
        }
        if (third) along_rows(Taps<C>(d0), end, now, d0.out, d1.out * d2.out);
        if constexpr (!std::is_same_v<T, C>)
          for (int64_t i = 0; i < n; ++i) dst[i] = resampled<T>(done[i]);
      }
    });
  };
  if (out.dtype() == DType::UInt8)
    run(TypeTag<uint8_t>{});
  else
    visit_float("interpolate", out.dtype(), run);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
