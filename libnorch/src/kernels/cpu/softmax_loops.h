// Loops that softmax and logsumexp share.
#pragma once

#include <algorithm>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce_loops.h"

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

}  // namespace

}  // namespace norch::kernels::cpu::NORCH_ISA
