// Products of complex matrices: BLAS on bands of rows of C, each a single-threaded call, so that results do not depend
// on threads; plain loops for layouts that a BLAS does not take.
#include <algorithm>
#include <climits>

#include "kernels/complex.h"
#include "kernels/cpu/blas.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu {

namespace {

/// Multiply-adds that are worth waking another thread for.
constexpr int64_t kParallelWork = 1 << 16;
/// Rows of C to a BLAS call.
constexpr int64_t kBand = 64;

void blas_gemm(int ta, int tb, int m, int n, int k, Complex<float> alpha, const Complex<float>* a, int lda,
               const Complex<float>* b, int ldb, Complex<float> beta, Complex<float>* c, int ldc) {
  NORCH_BLAS(cblas_cgemm)(blas::row_major, ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
}
void blas_gemm(int ta, int tb, int m, int n, int k, Complex<double> alpha, const Complex<double>* a, int lda,
               const Complex<double>* b, int ldb, Complex<double> beta, Complex<double>* c, int ldc) {
  NORCH_BLAS(cblas_zgemm)(blas::row_major, ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
}

/// How BLAS is told of a matrix; no distance between its rows (or columns) if it can't be.
struct Layout {
  int flag = blas::no_trans;
  int64_t ld = 0;
};
Layout layout_of(const MatrixRef& x, int64_t rows, int64_t cols) {
  if ((x.col == 1 || cols == 1) && (x.row >= cols || rows == 1)) return {blas::no_trans, rows == 1 ? cols : x.row};
  if ((x.row == 1 || rows == 1) && (x.col >= rows || cols == 1)) return {blas::trans, cols == 1 ? rows : x.col};
  return {};
}

template <class Z>
void plain_band(const Gemm& g, const Z* a, const Z* b, Z* c, int64_t rows, Z alpha, Z beta) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      Z sum(0);
      for (int64_t p = 0; p < g.k; ++p) sum = sum + a[i * g.a.row + p * g.a.col] * b[p * g.b.row + j * g.b.col];
      Z& out = c[i * g.c_row + j];
      sum = alpha * sum;
      out = beta == Z(0) ? sum : sum + beta * out;
    }
  }
}

template <class Z>
void run(const Gemm& g) {
  const Layout a = layout_of(g.a, g.m, g.k), b = layout_of(g.b, g.k, g.n);
  const int64_t ldc = g.m == 1 ? g.n : g.c_row;
  const bool by_blas = a.ld > 0 && b.ld > 0 && std::max({a.ld, b.ld, ldc, g.n, g.k}) <= INT_MAX && g.k > 0;
  const Z alpha = g.alpha.to<Z>(), beta = g.bias ? Z(1) : g.beta.to<Z>();
  const Z* bias = static_cast<const Z*>(g.bias);
  const int64_t bands = (g.m + kBand - 1) / kBand;
  const int64_t band_work = std::max<int64_t>(1, std::min(kBand, g.m) * g.n * std::max<int64_t>(g.k, 1));
  parallel_for(g.batch * bands, 1 + kParallelWork / band_work, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t batch = t / bands, i = t % bands * kBand, rows = std::min(kBand, g.m - i);
      const Z* x = static_cast<const Z*>(g.a.data) + batch * g.a.batch + i * g.a.row;
      const Z* y = static_cast<const Z*>(g.b.data) + batch * g.b.batch;
      Z* c = static_cast<Z*>(g.c) + batch * g.c_batch + i * g.c_row;
      if (bias)
        for (int64_t r = 0; r < rows; ++r) std::copy(bias, bias + g.n, c + r * g.c_row);
      if (by_blas)
        blas_gemm(a.flag, b.flag, static_cast<int>(rows), static_cast<int>(g.n), static_cast<int>(g.k), alpha, x,
                  static_cast<int>(a.ld), y, static_cast<int>(b.ld), beta, c, static_cast<int>(ldc));
      else
        plain_band(g, x, y, c, rows, alpha, beta);
    }
  });
}

}  // namespace

void gemm_complex(const Gemm& g) {
  if (g.batch == 0 || g.m == 0 || g.n == 0) return;
  visit_complex("matmul", g.dtype, [&](auto tag) { run<typename decltype(tag)::type>(g); });
}

}  // namespace norch::kernels::cpu
