#include <algorithm>
#include <cmath>

#include "kernels/cpu/softmax_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <bool kLog, class C>
void row(C* y, const C* x, int64_t n) {
  constexpr int L = 32;
  // The end of the row is filled up to a whole number of lanes with what does not change the sum.
  const int64_t whole = n - n % L, rest = n % L;
  C tail[L];
  std::copy_n(x + whole, rest, tail);
  std::fill(tail + rest, tail + L, lowest_of<C>());
  const C top = highest(x, n);
  double total = 0;
  for (int64_t from = 0; from < n; from += kRun) {
    C acc[L] = {};
    for (int64_t i = from; i < std::min(from + kRun, n); i += L) {
      const C* p = i < whole ? x + i : tail;
      C* q = i < whole ? y + i : tail;
#pragma omp simd
      for (int l = 0; l < L; ++l) {
        const C e = exp_of_negative(p[l] - top);
        if constexpr (!kLog) q[l] = e;
        acc[l] += e;
      }
    }
    fold_halves<L / 2>(acc, [](C a, C b) { return a + b; });
    total += static_cast<double>(acc[0]);
  }
  if constexpr (kLog) {
    const C log_total = static_cast<C>(std::log(total));
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - top) - log_total;
  } else {
    const C scale = static_cast<C>(1 / total);
    std::copy_n(tail, rest, y + whole);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] *= scale;
  }
}

/// As row, for m <= kStrip columns side by side, `inner` from row to row.
template <bool kLog, class C>
void columns(C* y, const C* x, int64_t n, int64_t inner, int64_t m) {
  C high[kStrip], total[kStrip];
  double sum[kStrip];
  highest_of_columns(high, x, n, inner, m);
  sum_over_columns<C>(sum, n, m, [&](int64_t i, int64_t j) {
    const C e = exp_of_negative(x[i * inner + j] - high[j]);
    if constexpr (!kLog) y[i * inner + j] = e;
    return e;
  });
  for (int64_t j = 0; j < m; ++j) total[j] = static_cast<C>(kLog ? std::log(sum[j]) : 1 / sum[j]);
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < m; ++j) {
      if constexpr (kLog)
        y[i * inner + j] = (x[i * inner + j] - high[j]) - total[j];
      else
        y[i * inner + j] *= total[j];
    }
  }
}

// The gradient y (g - mean), the mean of g weighted by y, is a small difference where one weight is nearly 1. So the mean is
// taken twice, the second time of what is left once the first is subtracted, and has double's digits. Weights of 16 bits are
// rounded more coarsely than that would mend: theirs is taken once.

/// What has to be subtracted beside `s`; nothing, where that is not a number to go on with.
template <class C>
C rest_of(C s, double left) {
  const double mean = static_cast<double>(s) + left;
  return std::isfinite(mean) ? static_cast<C>(mean - static_cast<double>(s)) : C(0);
}

template <bool kLog, class C>
void row_backward(C* dx, const C* g, const C* y, int64_t n, bool twice) {
  const C s = static_cast<C>(sum_over<C>(n, [&](int64_t i) { return kLog ? g[i] : g[i] * y[i]; }));
  if constexpr (kLog) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) dx[i] = g[i] - exp_of_negative(y[i]) * s;
  } else {
    const C rest = twice ? rest_of(s, sum_over<C>(n, [&](int64_t i) { return (g[i] - s) * y[i]; })) : C(0);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) dx[i] = y[i] * ((g[i] - s) - rest);
  }
}

template <bool kLog, class C>
void columns_backward(C* dx, const C* g, const C* y, int64_t n, int64_t inner, int64_t m, bool twice) {
  C s[kStrip], rest[kStrip];
  double sum[kStrip];
  sum_over_columns<C>(sum, n, m, [&](int64_t i, int64_t j) {
    return kLog ? g[i * inner + j] : g[i * inner + j] * y[i * inner + j];
  });
  for (int64_t j = 0; j < m; ++j) s[j] = static_cast<C>(sum[j]);
  std::fill_n(rest, m, C(0));
  if (!kLog && twice) {
    sum_over_columns<C>(sum, n, m, [&](int64_t i, int64_t j) { return (g[i * inner + j] - s[j]) * y[i * inner + j]; });
    for (int64_t j = 0; j < m; ++j) rest[j] = rest_of(s[j], sum[j]);
  }
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < m; ++j) {
      const int64_t at = i * inner + j;
      if constexpr (kLog)
        dx[at] = g[at] - exp_of_negative(y[at]) * s[j];
      else
        dx[at] = y[at] * ((g[at] - s[j]) - rest[j]);
    }
  }
}

/// Calls f(out, inputs, inner, m) for every strip of columns; `out` may be the first input.
template <class T, int inputs, class F>
void walk(const SoftmaxShape& s, T* out, const T* const (&in)[inputs], const F& f) {
  using C = ComputeType<T>;
  for_each_strip<T, inputs>(s, in, [&](const Strip<C, inputs>& strip) {
    T* to = out + (strip.outer * s.n * s.inner + strip.column);
    if constexpr (std::is_same_v<T, C>) {
      f(to, strip.x, strip.inner, strip.m);
    } else {
      f(strip.copy, strip.x, strip.inner, strip.m);
      move_rows(to, s.inner, strip.copy, strip.m, s.n, strip.m);
    }
  });
}

template <bool kLog, class T>
void forward(const SoftmaxShape& s, T* y, const T* x) {
  using C = ComputeType<T>;
  walk<T, 1>(s, y, {x}, [&](C* to, const C* const* from, int64_t inner, int64_t m) {
    s.inner == 1 ? row<kLog>(to, from[0], s.n) : columns<kLog>(to, from[0], s.n, inner, m);
  });
}
template <bool kLog, class T>
void backward(const SoftmaxShape& s, T* dx, const T* g, const T* y) {
  using C = ComputeType<T>;
  walk<T, 2>(s, dx, {g, y}, [&](C* to, const C* const* from, int64_t inner, int64_t m) {
    constexpr bool kTwice = std::is_same_v<T, C>;
    s.inner == 1 ? row_backward<kLog>(to, from[0], from[1], s.n, kTwice)
                 : columns_backward<kLog>(to, from[0], from[1], s.n, inner, m, kTwice);
  });
}

}  // namespace

void softmax(bool log, const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("softmax", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    log ? forward<true>(s, out.data<T>(), in.data<T>()) : forward<false>(s, out.data<T>(), in.data<T>());
  });
}

void softmax_backward(bool log, const SoftmaxShape& s, const Tensor& grad_in, const Tensor& g, const Tensor& y) {
  visit_float("softmax", g.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* dx = grad_in.data<T>();
    log ? backward<true>(s, dx, g.data<T>(), y.data<T>()) : backward<false>(s, dx, g.data<T>(), y.data<T>());
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
