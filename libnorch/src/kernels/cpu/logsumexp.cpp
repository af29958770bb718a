#include <cmath>
#include <vector>

#include "kernels/cpu/softmax_loops.h"
#include "kernels/softmax.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// An infinite or undefined maximum is the result.
template <class C>
C row(const C* x, int64_t n) {
  const C high = highest(x, n);
  if (!std::isfinite(high)) return high;
  return high + static_cast<C>(std::log(sum_over<C>(n, [&](int64_t i) { return exp_of_negative(x[i] - high); })));
}

/// As row, for m <= kStrip columns side by side, `inner` from row to row.
template <class C>
void columns(C* out, const C* x, int64_t n, int64_t inner, int64_t m) {
  C high[kStrip], total[kStrip];
  double sum[kStrip];
  highest_of_columns(high, x, n, inner, m);
  std::fill_n(sum, m, 0.0);
  for (int64_t from = 0; from < n; from += 64) {
    std::fill_n(total, m, C(0));
    for (int64_t i = from; i < std::min(from + 64, n); ++i) {
#pragma omp simd
      for (int64_t j = 0; j < m; ++j) total[j] += exp_of_negative(x[i * inner + j] - high[j]);
    }
    for (int64_t j = 0; j < m; ++j) sum[j] += static_cast<double>(total[j]);
  }
  for (int64_t j = 0; j < m; ++j)
    out[j] = std::isfinite(high[j]) ? high[j] + static_cast<C>(std::log(sum[j])) : high[j];
}

template <class T>
void run(const SoftmaxShape& s, T* out, const T* in) {
  using C = ComputeType<T>;
  constexpr bool kDirect = std::is_same_v<T, C>;
  // Strips are narrower where the copies of 16-bit floats would be large.
  const int64_t widest = kDirect ? kStrip : std::clamp<int64_t>((1 << 20) / (s.n + 1), 16, kStrip);
  const int64_t width = std::min(s.inner, widest), strips = (s.inner + width - 1) / width;
  parallel_for(s.outer * strips, 1 + 8192 / (s.n * width + 1), [&](int64_t begin, int64_t end) {
    std::vector<C> buffer(kDirect ? 0 : static_cast<size_t>(s.n * width));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i % strips * width, m = std::min(width, s.inner - from);
      const T* x = in + (i / strips * s.n * s.inner + from);
      C result[kStrip];
      const auto make = [&](const C* values, int64_t inner) {
        if (s.inner == 1)
          result[0] = row(values, s.n);
        else
          columns(result, values, s.n, inner, m);
      };
      if constexpr (kDirect) {
        make(x, s.inner);
      } else {
        const int64_t rows = s.inner == 1 ? 1 : s.n, run = s.n * m / rows;
        for (int64_t r = 0; r < rows; ++r)
          move<C, T>(reinterpret_cast<char*>(buffer.data() + r * run), sizeof(C),
                     reinterpret_cast<const char*>(x + r * s.inner), sizeof(T), run);
        make(buffer.data(), m);
      }
      T* to = out + (i / strips * s.inner + from);
      for (int64_t j = 0; j < m; ++j) to[j] = static_cast<T>(result[j]);
    }
  });
}

}  // namespace

void logsumexp(const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("logsumexp", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    run<T>(s, out.data<T>(), in.data<T>());
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
