// Loops that softmax and logsumexp share.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce_loops.h"
#include "kernels/softmax.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kStrip = 128;  // neighbouring columns worked on together

/// Folds the upper half of 2 * Half values into the lower one, and so on: the result is v[0].
template <int Half, class C, class F>
inline void fold_halves(C* v, const F& f) {
  if constexpr (Half > 0) {
#pragma omp simd
    for (int l = 0; l < Half; ++l) v[l] = f(v[l], v[l + Half]);
    fold_halves<Half / 2>(v, f);
  }
}

/// Sums f(i) for i < n: 32 accumulators over runs of kRun, runs in double.
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
    fold_halves<L / 2>(acc, [](C a, C b) { return a + b; });
    total += static_cast<double>(acc[0]);
  }
  return total;
}

/// Largest of n > 0 numbers, NaN if one is.
template <class C>
C highest(const C* x, int64_t n) {
  constexpr int L = 32;
  // The end is filled up to a whole number of lanes.
  const int64_t whole = n - n % L;
  C high[L], tail[L];
  std::copy_n(x + whole, n - whole, tail);
  std::fill(tail + (n - whole), tail + L, lowest_of<C>());
  std::fill_n(high, L, lowest_of<C>());
  for (int64_t i = 0; i < n; i += L) {
    const C* p = i < whole ? x + i : tail;
#pragma omp simd
    for (int l = 0; l < L; ++l) high[l] = MaxOf<C>{}.step(high[l], p[l]);
  }
  fold_halves<L / 2>(high, [](C a, C b) { return MaxOf<C>{}.join(a, b); });
  return high[0];
}

/// The same of m columns side by side, `inner` from row to row.
template <class C>
void highest_of_columns(C* high, const C* x, int64_t n, int64_t inner, int64_t m) {
  std::fill_n(high, m, lowest_of<C>());
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < m; ++j) high[j] = MaxOf<C>{}.step(high[j], x[i * inner + j]);
  }
}

/// Sums f(i, j) over i < n for each of m <= kStrip columns side by side: runs of 64 rows, runs in double.
template <class C, class F>
void sum_over_columns(double* sum, int64_t n, int64_t m, const F& f) {
  C run[kStrip];
  std::fill_n(sum, m, 0.0);
  for (int64_t from = 0; from < n; from += 64) {
    std::fill_n(run, m, C(0));
    for (int64_t i = from; i < std::min(from + 64, n); ++i) {
#pragma omp simd
      for (int64_t j = 0; j < m; ++j) run[j] += f(i, j);
    }
    for (int64_t j = 0; j < m; ++j) sum[j] += static_cast<double>(run[j]);
  }
}

/// Copies n rows of m numbers that lie `to_inner` and `from_inner` apart, from one type to another.
template <class To, class From>
void move_rows(To* to, int64_t to_inner, const From* from, int64_t from_inner, int64_t n, int64_t m) {
  const bool one_run = to_inner == m && from_inner == m;
  const int64_t rows = one_run ? 1 : n, run = one_run ? n * m : m;
  for (int64_t r = 0; r < rows; ++r)
    move<To, From>(reinterpret_cast<char*>(to + r * to_inner), sizeof(To),
                   reinterpret_cast<const char*>(from + r * from_inner), sizeof(From), run);
}

/// n rows of m neighbouring columns of each input.
template <class C, int inputs>
struct Strip {
  const C* x[inputs];
  int64_t inner, m;       // from row to row in x; columns
  int64_t outer, column;  // where in the inputs it begins: outer * n * s.inner + column
  C* copy;                // x[0] where it is a copy that may be overwritten, else null
};

/// Calls f(strip) for every strip of columns (every row, if s.inner is 1). The 16-bit floats are brought to float and side
/// by side before it, so that each loop is compiled for two types only.
template <class T, int inputs, class F>
void for_each_strip(const SoftmaxShape& s, const T* const (&in)[inputs], const F& f) {
  using C = ComputeType<T>;
  constexpr bool kDirect = std::is_same_v<T, C>;
  // Strips are narrower where the copies would be large.
  const int64_t widest = kDirect ? kStrip : std::clamp<int64_t>((1 << 20) / (s.n + 1), 16, kStrip);
  const int64_t width = std::min(s.inner, widest), strips = (s.inner + width - 1) / width;
  parallel_for(s.outer * strips, 1 + 8192 / (s.n * width + 1), [&](int64_t begin, int64_t end) {
    std::vector<C> buffer(kDirect ? 0 : static_cast<size_t>(inputs * s.n * width));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t outer = i / strips, column = i % strips * width, m = std::min(width, s.inner - column);
      Strip<C, inputs> strip{{}, kDirect ? s.inner : m, m, outer, column, kDirect ? nullptr : buffer.data()};
      for (int k = 0; k < inputs; ++k) {
        const T* x = in[k] + (outer * s.n * s.inner + column);
        if constexpr (kDirect) {
          strip.x[k] = x;
        } else {
          C* copy = buffer.data() + k * s.n * m;
          move_rows(copy, m, x, s.inner, s.n, m);
          strip.x[k] = copy;
        }
      }
      f(strip);
    }
  });
}

}  // namespace

}  // namespace norch::kernels::cpu::NORCH_ISA
