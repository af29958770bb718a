// Products of matrices by plain loops: for tiny ones, and for dtypes that BLAS has not.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/gemm.h"

namespace norch::kernels::cpu::NORCH_ISA {

/// Multiply-adds that are worth waking another thread for.
inline constexpr int64_t kParallelWork = 1 << 18;

/// The type in which products of T are summed: wrapping unsigned arithmetic for integers, no wider than the result needs.
template <class T>
using Sum = std::conditional_t<!std::is_integral_v<T>, ComputeType<T>,
                               std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>>;

template <class T>
Sum<T> load(const T* p) {
  return static_cast<Sum<T>>(static_cast<ComputeType<T>>(*p));
}

/// Turns a sum into an element of C.
template <class T>
struct Finish {
  Sum<T> alpha, beta;
  const T* bias;
  bool plain;  // alpha == 1 and beta == 0

  explicit Finish(const Gemm& g) : bias(static_cast<const T*>(g.bias)) {
    if constexpr (std::is_integral_v<T>) {
      alpha = static_cast<Sum<T>>(g.alpha.to_int());
      beta = static_cast<Sum<T>>(g.beta.to_int());
    } else {
      alpha = g.alpha.to<Sum<T>>();
      beta = g.beta.to<Sum<T>>();
    }
    plain = alpha == 1 && beta == 0;
  }
  void operator()(T* c, Sum<T> sum, int64_t j) const {
    if (!plain) {
      sum = static_cast<Sum<T>>(sum * alpha);
      if (beta != 0) sum = static_cast<Sum<T>>(sum + beta * load(c));
    }
    if (bias) sum = static_cast<Sum<T>>(sum + load(bias + j));
    *c = static_cast<T>(sum);
  }
};

template <class T>
Sum<T> strided_dot(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t k) {
  Sum<T> s = 0;
  if (a_step == 1 && b_step == 1) {
#pragma omp simd reduction(+ : s)
    for (int64_t p = 0; p < k; ++p) s += load(a + p) * load(b + p);
  } else {
    for (int64_t p = 0; p < k; ++p) s += load(a + p * a_step) * load(b + p * b_step);
  }
  return s;
}

/// Rows and columns of C whose sums are held in registers together.
inline constexpr int64_t kPlainRows = 4;
template <class T>
inline constexpr int64_t kPlainColumns = 128 / sizeof(Sum<T>);

/// sums[i][j] = sum over p of a[i, p] * b[p][j], B's rows `b_row` apart in memory.
template <class T, int64_t Rows>
void plain_block(const Gemm& g, const T* a, const T* b, int64_t b_row, Sum<T>* sums) {
  constexpr int64_t kColumns = kPlainColumns<T>;
  Sum<T> acc[Rows][kColumns] = {};
  for (int64_t p = 0; p < g.k; ++p, b += b_row)
    for (int64_t i = 0; i < Rows; ++i) {
      const Sum<T> x = load(a + i * g.a.row + p * g.a.col);
#pragma omp simd
      for (int64_t j = 0; j < kColumns; ++j) acc[i][j] += x * load(b + j);
    }
  std::copy_n(&acc[0][0], Rows * kColumns, sums);
}

/// Columns of one row, for any layout.
template <class T, int64_t Columns>
void plain_dots(const Gemm& g, const T* a, const T* b, Sum<T>* sums) {
  Sum<T> acc[Columns] = {};
  for (int64_t p = 0; p < g.k; ++p, a += g.a.col, b += g.b.row)
    for (int64_t j = 0; j < Columns; ++j) acc[j] += load(a) * load(b + j * g.b.col);
  std::copy_n(acc, Columns, sums);
}

/// Plain loops over rows [begin, end) of one product. Every element is summed over k one by one, so that its bits do
/// not depend on the layout; several elements go side by side.
template <class T>
void plain_rows(const Gemm& g, const T* a, const T* b, T* c, int64_t begin, int64_t end) {
  const Finish<T> finish(g);
  constexpr int64_t kColumns = kPlainColumns<T>;
  Sum<T> sums[kPlainRows * kColumns];
  std::vector<T> copy;
  for (int64_t j0 = 0; j0 < g.n; j0 += kColumns) {
    const int64_t width = std::min(kColumns, g.n - j0);
    const T* y = b + j0 * g.b.col;
    int64_t y_row = g.b.row;
    const bool aligned = g.b.col == 1 && width == kColumns, few = end - begin < kPlainRows;
    if (!aligned && !few) {
      // These columns of B side by side, with zeros behind them.
      copy.assign(static_cast<size_t>(g.k * kColumns), T(0));
      for (int64_t p = 0; p < g.k; ++p)
        for (int64_t j = 0; j < width; ++j) copy[static_cast<size_t>(p * kColumns + j)] = y[p * g.b.row + j * g.b.col];
      y = copy.data();
      y_row = kColumns;
    }
    for (int64_t i = begin; i < end;) {
      const T* x = a + i * g.a.row;
      int64_t rows = 1;
      if (!aligned && few) {
        int64_t j = 0;
        for (; j + 4 <= width; j += 4) plain_dots<T, 4>(g, x, y + j * g.b.col, sums + j);
        for (; j < width; ++j) plain_dots<T, 1>(g, x, y + j * g.b.col, sums + j);
      } else if (end - i >= kPlainRows) {
        rows = kPlainRows;
        plain_block<T, kPlainRows>(g, x, y, y_row, sums);
      } else {
        plain_block<T, 1>(g, x, y, y_row, sums);
      }
      for (int64_t r = 0; r < rows; ++r, ++i)
        for (int64_t j = 0; j < width; ++j) finish(c + i * g.c_row + j0 + j, sums[r * kColumns + j], j0 + j);
    }
  }
}

template <class T>
void plain(const Gemm& g) {
  const int64_t row_work = std::max<int64_t>(1, g.n * std::max<int64_t>(g.k, 1));
  parallel_for(g.batch * g.m, 1 + kParallelWork / row_work, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t batch = begin / g.m, row = begin % g.m, stop = std::min(g.m, row + end - begin);
      plain_rows(g, static_cast<const T*>(g.a.data) + batch * g.a.batch,
                 static_cast<const T*>(g.b.data) + batch * g.b.batch, static_cast<T*>(g.c) + batch * g.c_batch, row,
                 stop);
      begin += stop - row;
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
