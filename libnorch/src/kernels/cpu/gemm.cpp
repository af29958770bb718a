// Which way a product takes, by its shape alone:
//   tiny              plain loops: a BLAS call costs more than the work
//   a row or column   matrix times vector: bound by memory, any float dtype read directly
//   float, double     BLAS on tiles of C, each a single-threaded call, so that results do not depend on threads
//   16-bit floats     converted to float around the BLAS way, rounded once at the end
//   everything else   plain loops
#include "kernels/gemm.h"

#include <algorithm>
#include <climits>
#include <vector>

#include "core/factory.h"
#include "kernels/cpu/blas.h"
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/gemm_plain.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

// ---- matrix times vector

/// y[i] = sum over p of a[i, p] * x[p], for `rows` rows.
struct MatVec {
  int64_t rows, k, row, col, x_step, y_step;
};

/// The columns of the matrix lie along memory's rows: sums for a block of rows together, over all of k.
template <class T>
void matvec_by_columns(const MatVec& v, const Finish<T>& finish, bool bias_by_row, const T* a, const T* x, T* y,
                       int64_t begin, int64_t end) {
  constexpr int64_t kBlock = 512;
  Sum<T> sums[kBlock];
  for (int64_t i0 = begin; i0 < end; i0 += kBlock) {
    const int64_t width = std::min(kBlock, end - i0);
    for (int64_t i = 0; i < width; ++i) sums[i] = 0;
    int64_t p = 0;
    for (; p + 4 <= v.k; p += 4) {
      const T* q = a + i0 + p * v.col;
      const Sum<T> x0 = load(x + p * v.x_step), x1 = load(x + (p + 1) * v.x_step), x2 = load(x + (p + 2) * v.x_step),
                   x3 = load(x + (p + 3) * v.x_step);
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        Sum<T> s = sums[i] + x0 * load(q + i);
        s += x1 * load(q + v.col + i);
        s += x2 * load(q + 2 * v.col + i);
        sums[i] = s + x3 * load(q + 3 * v.col + i);
      }
    }
    for (; p < v.k; ++p) {
      const T* q = a + i0 + p * v.col;
      const Sum<T> x0 = load(x + p * v.x_step);
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) sums[i] += x0 * load(q + i);
    }
    for (int64_t i = 0; i < width; ++i) finish(y + (i0 + i) * v.y_step, sums[i], bias_by_row ? i0 + i : 0);
  }
}

/// A single long dot product: partial sums of fixed length, added in order.
template <class T>
Sum<T> long_dot(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t k) {
  constexpr int64_t kPart = 1 << 15;
  const int64_t parts = (k + kPart - 1) / kPart;
  if (parts <= 1) return strided_dot(a, a_step, b, b_step, k);
  std::vector<Sum<T>> sums(static_cast<size_t>(parts));
  parallel_for(parts, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      sums[i] = strided_dot(a + i * kPart * a_step, a_step, b + i * kPart * b_step, b_step,
                            std::min(kPart, k - i * kPart));
  });
  Sum<T> s = 0;
  for (Sum<T> part : sums) s += part;
  return s;
}

template <class T>
void matvec(const Gemm& g) {
  const Finish<T> finish(g);
  const bool column = g.n == 1;  // otherwise C is a row: the same product, transposed
  const MatVec v = column ? MatVec{g.m, g.k, g.a.row, g.a.col, g.b.row, g.c_row}
                          : MatVec{g.n, g.k, g.b.col, g.b.row, g.a.col, 1};
  const T* a = static_cast<const T*>(column ? g.a.data : g.b.data);
  const T* x = static_cast<const T*>(column ? g.b.data : g.a.data);
  T* y = static_cast<T*>(g.c);
  if (v.rows == 1) {
    finish(y, long_dot(a, v.col, x, v.x_step, v.k), 0);
    return;
  }
  parallel_for(v.rows, 1 + kParallelWork / std::max<int64_t>(v.k, 1), [&](int64_t begin, int64_t end) {
    if (v.row == 1 && v.col != 1) {
      matvec_by_columns(v, finish, !column, a, x, y, begin, end);
      return;
    }
    for (int64_t i = begin; i < end; ++i)
      finish(y + i * v.y_step, strided_dot(a + i * v.row, v.col, x, v.x_step, v.k), column ? 0 : i);
  });
}

// ---- BLAS

/// How BLAS is told of a matrix: whether transposed, and the distance between its rows (or columns).
struct BlasLayout {
  int flag = blas::no_trans;
  int64_t ld = -1;
  bool ok() const { return ld > 0 && ld <= INT_MAX; }
};

BlasLayout blas_layout(const MatrixRef& x, int64_t rows, int64_t cols) {
  if ((x.col == 1 || cols == 1) && (x.row >= cols || rows == 1))
    return {blas::no_trans, rows == 1 ? cols : x.row};
  if ((x.row == 1 || rows == 1) && (x.col >= rows || cols == 1)) return {blas::trans, cols == 1 ? rows : x.col};
  return {};
}

int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

/// The size of the blocks that are computed by one BLAS call each. A block of C takes its blocks of k one after the
/// other.
struct Tiling {
  int64_t m, n, k;
};

/// Measured with OpenBLAS: blocks below a million multiply-adds take its kernels that do not pack, which are the fastest
/// as long as the operands stay in the cache; large products want few tiles and all of k, because each call packs its
/// own copy of its rows and columns.
Tiling choose_tiling(int64_t m, int64_t n, int64_t k, bool a_transposed, bool b_transposed) {
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  if (work <= static_cast<double>(kParallelWork)) return {m, n, k};
  if (b_transposed && !a_transposed && (m <= 128 || work <= 0x1p24)) {
    if (k <= 120) return {m * n <= 64 * 64 * 16 ? 32 : 128, 64, k};
    return {16, 32, 1024};
  }
  if (work <= (a_transposed || b_transposed ? 0x1p25 : 0x1p28)) {
    // Low tiles where there would be few for the threads.
    if (m * n <= 64 * 64 * 16) return {16, 64, 512};
    return {64, 64, 240};
  }
  Tiling tiling{m, n, k};
  const int tiles = work < 0x1p32 ? 4 : work < 0x1p35 ? 8 : work < 0x1p38 ? 16 : 32;
  double best = 0;
  for (int gm = 1; gm <= tiles; gm *= 2) {
    const int gn = tiles / gm;
    const int64_t tm = std::max<int64_t>(16, round_up((m + gm - 1) / gm, 16));
    const int64_t tn = std::max<int64_t>(32, round_up((n + gn - 1) / gn, 32));
    const double count = static_cast<double>((m + tm - 1) / tm) * static_cast<double>((n + tn - 1) / tn);
    // What is packed in all, and a price for every tile short of the number wanted.
    const double cost = (gm * static_cast<double>(n) + 2.5 * gn * static_cast<double>(m)) * (1 + tiles - count);
    if (best != 0 && cost >= best) continue;
    best = cost;
    tiling = {tm, tn, k};
  }
  return tiling;
}

template <class T>
bool blas_way(const Gemm& g) {
  const BlasLayout a = blas_layout(g.a, g.m, g.k), b = blas_layout(g.b, g.k, g.n);
  const int64_t ldc = g.m == 1 ? g.n : g.c_row;
  if (!a.ok() || !b.ok() || ldc > INT_MAX || ldc < g.n || g.k > INT_MAX) return false;
  Tiling tile = choose_tiling(g.m, g.n, g.k, a.flag == blas::trans, b.flag == blas::trans);
  tile.m = std::min<int64_t>(tile.m, INT_MAX / 2);
  tile.n = std::min<int64_t>(tile.n, INT_MAX / 2);
  const int64_t down = (g.m + tile.m - 1) / tile.m, across = (g.n + tile.n - 1) / tile.n;
  const T alpha = g.alpha.to<T>();
  const T* bias = static_cast<const T*>(g.bias);
  const T beta = bias ? T(1) : g.beta.to<T>();
  const int64_t tile_work = std::max<int64_t>(1, std::min(tile.m, g.m) * std::min(tile.n, g.n) * g.k);
  const int64_t grain = std::max<int64_t>(1, kParallelWork / tile_work);
  // Tiles one below the other come together, so that they find their columns of B in the cache.
  parallel_for(g.batch * across * down, grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t batch = begin / (down * across), j = begin / down % across * tile.n, first = begin % down;
      const int64_t last = std::min(down, first + end - begin), cols = std::min(tile.n, g.n - j);
      begin += last - first;
      T* c = static_cast<T*>(g.c) + batch * g.c_batch + j;
      if (bias)
        for (int64_t i = first * tile.m; i < std::min(g.m, last * tile.m); ++i)
          std::copy(bias + j, bias + j + cols, c + i * g.c_row);
      for (int64_t p = 0; p < g.k; p += tile.k)
        for (int64_t i = first * tile.m; i < std::min(g.m, last * tile.m); i += tile.m)
          blas::gemm(a.flag, b.flag, static_cast<int>(std::min(tile.m, g.m - i)), static_cast<int>(cols),
                    static_cast<int>(std::min(tile.k, g.k - p)), alpha,
                    static_cast<const T*>(g.a.data) + batch * g.a.batch + i * g.a.row + p * g.a.col,
                    static_cast<int>(a.ld),
                    static_cast<const T*>(g.b.data) + batch * g.b.batch + p * g.b.row + j * g.b.col,
                    static_cast<int>(b.ld), p == 0 ? beta : T(1), c + i * g.c_row, static_cast<int>(ldc));
    }
  });
  return true;
}

// ---- 16-bit floats

/// A float copy of an operand, laid out along its memory: same strides in spirit (transposed stays transposed).
template <class T>
Tensor to_float(MatrixRef& x, int64_t batch, int64_t rows, int64_t cols) {
  const bool flip = x.row < x.col;
  const int64_t outer = flip ? cols : rows, inner = flip ? rows : cols;
  const int64_t outer_step = flip ? x.col : x.row, inner_step = flip ? x.row : x.col;
  const int64_t matrices = x.batch == 0 ? 1 : batch;
  Tensor out = new_tensor({matrices, outer, inner}, DType::Float32, kCPU);
  const T* src = static_cast<const T*>(x.data);
  float* dst = static_cast<float*>(out.data_ptr());
  parallel_for(matrices * outer, 1 + 32768 / (inner + 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* p = src + r / outer * x.batch + r % outer * outer_step;
      float* q = dst + r * inner;
      move<float, T>(reinterpret_cast<char*>(q), sizeof(float), reinterpret_cast<const char*>(p),
                     inner_step * static_cast<int64_t>(sizeof(T)), inner);
    }
  });
  x = {dst, flip ? 1 : inner, flip ? inner : 1, matrices == 1 ? 0 : outer * inner};
  return out;
}

template <class T>
void by_way_of_float(const Gemm& g) {
  Gemm f = g;
  f.dtype = DType::Float32;
  f.bias = nullptr;
  f.alpha = 1;
  f.beta = 0;
  const Tensor a = to_float<T>(f.a, g.batch, g.m, g.k), b = to_float<T>(f.b, g.batch, g.k, g.n);
  const Tensor c = new_tensor({g.batch, g.m, g.n}, DType::Float32, kCPU);
  f.c = c.data_ptr();
  f.c_row = g.n;
  f.c_batch = g.m * g.n;
  if (!blas_way<float>(f)) plain<float>(f);
  const Finish<T> finish(g);
  const float* sums = static_cast<const float*>(c.data_ptr());
  parallel_for(g.batch * g.m, 1 + 32768 / g.n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T* out = static_cast<T*>(g.c) + r / g.m * g.c_batch + r % g.m * g.c_row;
      const float* s = sums + r * g.n;
      if (finish.plain && !finish.bias) {
        move<T, float>(reinterpret_cast<char*>(out), sizeof(T), reinterpret_cast<const char*>(s), sizeof(float), g.n);
      } else {
        for (int64_t j = 0; j < g.n; ++j) finish(out + j, s[j], j);
      }
    }
  });
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.batch == 0 || g.m == 0 || g.n == 0) return;
  visit_all(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>) {
      NORCH_RAISE(NotImplementedError, "matmul: not implemented for bool; convert to an integer dtype");
    } else {
      const double work = static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
      if (std::is_integral_v<T> || g.k == 0 || work <= 768) return plain<T>(g);
      if constexpr (is_floating_point(dtype_of<T>)) {
        if (g.batch == 1 && (g.m == 1 || g.n == 1)) return matvec<T>(g);
        if constexpr (sizeof(T) == 2)
          by_way_of_float<T>(g);
        else if (!blas_way<T>(g))
          plain<T>(g);
      }
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
