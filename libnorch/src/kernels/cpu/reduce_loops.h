// The inner loops of CPU reductions, as templates over an op of kernels/reduce.h. Include it in kernel files only.
#pragma once

#include <algorithm>

#include "kernels/cpu/reducer.h"
#include "kernels/reduce.h"

namespace norch::kernels::cpu::NORCH_ISA {

inline constexpr int64_t kRun = 4096;  // elements folded in narrow accumulators before they join the wide ones
inline constexpr int64_t kBuffer = 1024;

/// The accumulator inside a run: narrow enough to fill vectors, wide enough for kRun elements.
template <class T>
using LaneType = std::conditional_t<is_floating_point(dtype_of<T>), ComputeType<T>,
                                    std::conditional_t<(sizeof(T) < 4), int32_t, int64_t>>;
/// The accumulator across runs.
template <class T>
using WideType = std::conditional_t<is_floating_point(dtype_of<T>), double, int64_t>;

/// Copies n strided elements next to each other.
template <class T>
const T* gather(const char* x, int64_t n, int64_t stride, T* buffer) {
  for (int64_t i = 0; i < n; ++i) buffer[i] = *reinterpret_cast<const T*>(x + i * stride);
  return buffer;
}

/// Calls f(pointer, count, number of the first) for runs of at most `most` elements that lie side by side.
template <class T, class F>
void for_runs(const char* x, int64_t n, int64_t stride, int64_t most, const F& f) {
  if (stride == static_cast<int64_t>(sizeof(T)) || n == 1) {
    for (int64_t i = 0; i < n; i += most) f(reinterpret_cast<const T*>(x) + i, std::min(most, n - i), i);
    return;
  }
  T buffer[kBuffer];
  for (int64_t i = 0; i < n; i += kBuffer) {
    const int64_t count = std::min(kBuffer, n - i);
    f(gather<T>(x + i * stride, count, stride, buffer), count, i);
  }
}

/// Folds n adjacent elements with L accumulators: element i goes to accumulator i % L, and these join as a tree.
template <int L, class T, class A, class Op>
A fold_lanes(const Op& op, const T* x, int64_t n) {
  using C = ComputeType<T>;
  A acc[L];
  for (int l = 0; l < L; ++l) acc[l] = op.identity();
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
#pragma omp simd
    for (int l = 0; l < L; ++l) {
      const A two = op.step(op.step(acc[l], static_cast<C>(x[i + l])), static_cast<C>(x[i + l + L]));
      acc[l] = op.step(op.step(two, static_cast<C>(x[i + l + 2 * L])), static_cast<C>(x[i + l + 3 * L]));
    }
  }
  for (; i + L <= n; i += L) {
#pragma omp simd
    for (int l = 0; l < L; ++l) acc[l] = op.step(acc[l], static_cast<C>(x[i + l]));
  }
  const int rest = static_cast<int>(n - i);
  for (int l = 0; l < rest; ++l) acc[l] = op.step(acc[l], static_cast<C>(x[i + l]));
  for (int half = L / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) acc[l] = op.join(acc[l], acc[l + half]);
  }
  return acc[0];
}

template <class T, class A, class Op>
A fold(const Op& op, const T* x, int64_t n) {
  if (n >= 128) return fold_lanes<64, T, A>(op, x, n);
  if (n >= 16) return fold_lanes<16, T, A>(op, x, n);
  A a = op.identity();
  for (int64_t i = 0; i < n; ++i) a = op.step(a, static_cast<ComputeType<T>>(x[i]));
  return a;
}

/// Narrow folds elements in runs, Wide joins the runs: the same op over accumulators A and W. Results have the dtype
/// Out1 or Out2.
template <class T, class A, class W, class Narrow, class Wide, class Out1 = T, class Out2 = SumType<Out1>>
struct Fold {
  using C = ComputeType<T>;
  Narrow narrow;
  Wide wide;
  void* out;
  bool out_is_first;  // of type Out1, Out2 otherwise
  double scale, root;

  static void init(const void* self, void* w, int64_t m) {
    std::fill_n(static_cast<W*>(w), m, static_cast<const Fold*>(self)->wide.identity());
  }
  static void merge(const void* self, void* w, const void* later, int64_t m) {
    const Wide& op = static_cast<const Fold*>(self)->wide;
    for (int64_t j = 0; j < m; ++j)
      static_cast<W*>(w)[j] = op.join(static_cast<W*>(w)[j], static_cast<const W*>(later)[j]);
  }

  static void rows(const void* self, void* w, const char* x, int64_t rows, int64_t row_stride, int64_t n,
                   int64_t stride, int64_t) {
    const Fold& f = *static_cast<const Fold*>(self);
    for (int64_t r = 0; r < rows; ++r) {
      W& total = static_cast<W*>(w)[r];
      for_runs<T>(x + r * row_stride, n, stride, kRun, [&](const T* p, int64_t count, int64_t) {
        total = f.wide.join(total, static_cast<W>(fold<T, A>(f.narrow, p, count)));
      });
    }
  }

  static void cols(const void* self, void* w, const char* x, int64_t m, int64_t stride, int64_t rows,
                   int64_t row_stride, int64_t) {
    const Fold& f = *static_cast<const Fold*>(self);
    W* out = static_cast<W*>(w);
    if (stride != static_cast<int64_t>(sizeof(T)) && m > 1) {
      for (int64_t r = 0; r < rows; ++r) {
        for_runs<T>(x + r * row_stride, m, stride, kBuffer, [&](const T* p, int64_t count, int64_t at) {
          for (int64_t j = 0; j < count; ++j)
            out[at + j] = f.wide.join(out[at + j], static_cast<W>(f.narrow.step(f.narrow.identity(), C(p[j]))));
        });
      }
      return;
    }
    if (m <= 32 && row_stride == m * static_cast<int64_t>(sizeof(T))) return narrow_cols(f, out, x, m, rows);
    constexpr int64_t kRows = 64;
    A acc[kBuffer];
    for (int64_t r = 0; r < rows; r += kRows) {
      const int64_t last = std::min(r + kRows, rows);
      std::fill_n(acc, m, f.narrow.identity());
      int64_t i = r;
      for (; i + 4 <= last; i += 4) {
        const T* a = reinterpret_cast<const T*>(x + i * row_stride);
        const T* b = reinterpret_cast<const T*>(x + (i + 1) * row_stride);
        const T* c = reinterpret_cast<const T*>(x + (i + 2) * row_stride);
        const T* d = reinterpret_cast<const T*>(x + (i + 3) * row_stride);
#pragma omp simd
        for (int64_t j = 0; j < m; ++j) {
          const A lower = f.narrow.step(f.narrow.step(acc[j], static_cast<C>(a[j])), static_cast<C>(b[j]));
          acc[j] = f.narrow.step(f.narrow.step(lower, static_cast<C>(c[j])), static_cast<C>(d[j]));
        }
      }
      for (; i < last; ++i) {
        const T* a = reinterpret_cast<const T*>(x + i * row_stride);
#pragma omp simd
        for (int64_t j = 0; j < m; ++j) acc[j] = f.narrow.step(acc[j], static_cast<C>(a[j]));
      }
      for (int64_t j = 0; j < m; ++j) out[j] = f.wide.join(out[j], static_cast<W>(acc[j]));
    }
  }

  /// Few columns, rows side by side: several rows are taken as one of up to 64 columns.
  static void narrow_cols(const Fold& f, W* out, const char* x, int64_t m, int64_t rows) {
    const int64_t together = 64 / m, width = together * m;
    const T* p = reinterpret_cast<const T*>(x);
    const int64_t n = rows * m;
    for (int64_t from = 0; from < n; from += 64 * width) {
      const int64_t to = std::min(from + 64 * width, n);
      A acc[64];
      std::fill_n(acc, width, f.narrow.identity());
      int64_t i = from;
      for (; i + width <= to; i += width) {
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) acc[j] = f.narrow.step(acc[j], static_cast<C>(p[i + j]));
      }
      for (int64_t j = 0; i + j < to; ++j) acc[j] = f.narrow.step(acc[j], static_cast<C>(p[i + j]));
      for (int64_t j = 0; j < width; ++j) out[j % m] = f.wide.join(out[j % m], static_cast<W>(acc[j]));
    }
  }

  template <class Out>
  void store(const W* w, int64_t at, int64_t step, int64_t m) const {
    Out* y = static_cast<Out*>(out) + at;
    for (int64_t j = 0; j < m; ++j) y[j * step] = static_cast<Out>(finish_value(w[j], scale, root));
  }
  static void finish(const void* self, const void* w, int64_t at, int64_t step, int64_t m) {
    const Fold& f = *static_cast<const Fold*>(self);
    if (f.out_is_first)
      f.template store<Out1>(static_cast<const W*>(w), at, step, m);
    else
      f.template store<Out2>(static_cast<const W*>(w), at, step, m);
  }

  void run(const ReducePlan& plan) const {
    run_reduction(plan, {sizeof(W), init, rows, cols, merge, finish}, this);
  }
};

}  // namespace norch::kernels::cpu::NORCH_ISA
