#include "kernels/softmax.h"

#include "kernels/cpu/exp.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kStrip = 128;  // neighbouring columns worked on together

/// Sums f(i) for i < n: 32 accumulators over runs of kRun, runs in double. f may store as it goes.
template <class C, class F>
double sum_over(int64_t n, const F& f) {
  double total = 0;
  for (int64_t from = 0; from < n; from += kRun) {
    const int64_t to = std::min(from + kRun, n);
    constexpr int L = 32;
    C acc[L] = {};
    int64_t i = from;
    for (; i + L <= to; i += L) {
#pragma omp simd
      for (int l = 0; l < L; ++l) acc[l] += f(i + l);
    }
    const int64_t rest = to - i;
#pragma omp simd
    for (int64_t l = 0; l < rest; ++l) acc[l] += f(i + l);
    for (int half = L / 2; half > 0; half /= 2)
      for (int l = 0; l < half; ++l) acc[l] += acc[l + half];
    total += static_cast<double>(acc[0]);
  }
  return total;
}

template <bool kLog, class T>
void row(T* y, const T* x, int64_t n) {
  using C = ComputeType<T>;
  constexpr bool kKeep = std::is_same_v<T, C> && !kLog;  // exp is stored as it is summed
  C high = lowest_of<C>();
  for (int64_t i = 0; i < n; i += kRun) high = MaxOf<C>{}.join(high, fold<T, C>(MaxOf<C>{}, x + i, std::min(kRun, n - i)));
  const double total = sum_over<C>(n, [&](int64_t i) {
    const C e = fast_exp(static_cast<C>(x[i]) - high);
    if constexpr (kKeep) y[i] = e;
    return e;
  });
  if constexpr (kLog) {
    const C log_total = static_cast<C>(std::log(total));
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>((static_cast<C>(x[i]) - high) - log_total);
  } else {
    const C scale = static_cast<C>(1 / total);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (kKeep)
        y[i] *= scale;
      else
        y[i] = static_cast<T>(fast_exp(static_cast<C>(x[i]) - high) * scale);
    }
  }
}

/// As row, for m <= kStrip columns side by side.
template <bool kLog, class T>
void columns(T* y, const T* x, int64_t n, int64_t inner, int64_t m) {
  using C = ComputeType<T>;
  C high[kStrip], total[kStrip];
  double sum[kStrip];
  std::fill_n(high, m, lowest_of<C>());
  std::fill_n(sum, m, 0.0);
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < m; ++j) high[j] = MaxOf<C>{}.step(high[j], static_cast<C>(x[i * inner + j]));
  }
  for (int64_t from = 0; from < n; from += 64) {
    std::fill_n(total, m, C(0));
    for (int64_t i = from; i < std::min(from + 64, n); ++i) {
#pragma omp simd
      for (int64_t j = 0; j < m; ++j) {
        const C e = fast_exp(static_cast<C>(x[i * inner + j]) - high[j]);
        if constexpr (std::is_same_v<T, C> && !kLog) y[i * inner + j] = e;
        total[j] += e;
      }
    }
    for (int64_t j = 0; j < m; ++j) sum[j] += static_cast<double>(total[j]);
  }
  for (int64_t j = 0; j < m; ++j) total[j] = static_cast<C>(kLog ? std::log(sum[j]) : 1 / sum[j]);
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < m; ++j) {
      T& out = y[i * inner + j];
      const C v = static_cast<C>(x[i * inner + j]) - high[j];
      if constexpr (kLog)
        out = static_cast<T>(v - total[j]);
      else if constexpr (std::is_same_v<T, C>)
        out *= total[j];
      else
        out = static_cast<T>(fast_exp(v) * total[j]);
    }
  }
}

template <bool kLog, class T>
void row_backward(T* dx, const T* g, const T* y, int64_t n) {
  using C = ComputeType<T>;
  const C s = static_cast<C>(sum_over<C>(n, [&](int64_t i) {
    return kLog ? static_cast<C>(g[i]) : static_cast<C>(g[i]) * static_cast<C>(y[i]);
  }));
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const C a = static_cast<C>(g[i]), b = static_cast<C>(y[i]);
    dx[i] = static_cast<T>(kLog ? a - fast_exp(b) * s : b * (a - s));
  }
}

template <bool kLog, class T>
void columns_backward(T* dx, const T* g, const T* y, int64_t n, int64_t inner, int64_t m) {
  using C = ComputeType<T>;
  C part[kStrip], s[kStrip];
  double sum[kStrip];
  std::fill_n(sum, m, 0.0);
  for (int64_t from = 0; from < n; from += 64) {
    std::fill_n(part, m, C(0));
    for (int64_t i = from; i < std::min(from + 64, n); ++i) {
#pragma omp simd
      for (int64_t j = 0; j < m; ++j) {
        const C a = static_cast<C>(g[i * inner + j]);
        part[j] += kLog ? a : a * static_cast<C>(y[i * inner + j]);
      }
    }
    for (int64_t j = 0; j < m; ++j) sum[j] += static_cast<double>(part[j]);
  }
  for (int64_t j = 0; j < m; ++j) s[j] = static_cast<C>(sum[j]);
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < m; ++j) {
      const C a = static_cast<C>(g[i * inner + j]), b = static_cast<C>(y[i * inner + j]);
      dx[i * inner + j] = static_cast<T>(kLog ? a - fast_exp(b) * s[j] : b * (a - s[j]));
    }
  }
}

/// Calls rows(offset) for every row, or strips(offset, columns) for every strip of columns.
template <class Rows, class Strips>
void walk(const SoftmaxShape& s, const Rows& rows, const Strips& strips) {
  const int64_t per_outer = s.inner == 1 ? 1 : (s.inner + kStrip - 1) / kStrip;
  const int64_t grain = 1 + 4096 / (s.n * std::min(s.inner, kStrip) + 1);
  parallel_for(s.outer * per_outer, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i % per_outer * kStrip, offset = i / per_outer * s.n * s.inner;
      if (s.inner == 1)
        rows(offset);
      else
        strips(offset + from, std::min(kStrip, s.inner - from));
    }
  });
}

template <bool kLog, class T>
void forward(const SoftmaxShape& s, T* y, const T* x) {
  walk(
      s, [&](int64_t at) { row<kLog>(y + at, x + at, s.n); },
      [&](int64_t at, int64_t m) { columns<kLog>(y + at, x + at, s.n, s.inner, m); });
}
template <bool kLog, class T>
void backward(const SoftmaxShape& s, T* dx, const T* g, const T* y) {
  walk(
      s, [&](int64_t at) { row_backward<kLog>(dx + at, g + at, y + at, s.n); },
      [&](int64_t at, int64_t m) { columns_backward<kLog>(dx + at, g + at, y + at, s.n, s.inner, m); });
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
