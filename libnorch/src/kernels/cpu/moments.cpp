#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Each run of elements is summed, then its squared deviations from its own mean are, while it is in the cache; runs
/// join by Chan's rule in double. That keeps full accuracy whatever the mean is. A float32 run whose squares leave the
/// range of float32 is done again in double.
template <class A>
struct Moments {
  using M = MomentsOf<double>;
  using F = Fold<SumOf, A>;
  using Vector = typename F::Vector;

  Load load_elements;
  void* mean;
  void* var;
  DType out_dtype;
  double n;
  MomentsArgs args;

  static void load(const void* self, void* to, const char* from, int64_t n, int64_t stride) {
    static_cast<const Moments*>(self)->load_elements(to, from, n, stride);
  }
  static void init(const void*, void* w, int64_t m) { std::fill_n(static_cast<M*>(w), m, M{0, 0, 0}); }
  static void merge(const void*, void* w, const void* other, int64_t m) {
    for (int64_t j = 0; j < m; ++j) static_cast<M*>(w)[j] = static_cast<M*>(w)[j].join(static_cast<const M*>(other)[j]);
  }
  /// Moments of n elements from sums over them of the deviations from `center` and of their squares.
  static M part(double n, A center, A deviation, A squares) {
    const double d = static_cast<double>(deviation) / n;
    const double m2 = static_cast<double>(squares) - d * d * n;
    return {n, static_cast<double>(center) + d, m2 < 0 ? 0 : m2};
  }

  /// Whether a run's sum of squares overflowed, or lost digits below the normal numbers (where that shows).
  bool out_of_range(A squares) const {
    if constexpr (sizeof(A) == 8) return false;
    return !(squares < A(1e38)) || (squares < A(1e-30) && args.eps < 0);
  }
  template <class At>
  static M part_in_double(int64_t n, const At& at) {
    double sum = 0, deviation = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) sum += at(i);
    const double center = sum / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      const double d = at(i) - center;
      deviation += d;
      squares += d * d;
    }
    const double d = deviation / static_cast<double>(n);
    return {static_cast<double>(n), center + d, squares - d * deviation};
  }

  /// Sums over n elements of each of four rows of the deviations from `center` and of their squares.
  static void deviations4(const A* const* x, int64_t n, const A* center, A* deviation, A* squares) {
    Vector d[4][F::kVectors] = {}, s[4][F::kVectors] = {};
    int64_t i = 0;
    for (; i + F::kLanes <= n; i += F::kLanes)
      for (int k = 0; k < 4; ++k)
        for (int v = 0; v < F::kVectors; ++v) {
          const Vector off = *reinterpret_cast<const typename F::Loaded*>(x[k] + i + v * F::kWidth) - center[k];
          d[k][v] += off;
          s[k][v] += off * off;
        }
    for (int k = 0; k < 4; ++k) {
      deviation[k] = F::join_lanes(d[k]);
      squares[k] = F::join_lanes(s[k]);
      for (int64_t j = i; j < n; ++j) {
        const A off = x[k][j] - center[k];
        deviation[k] += off;
        squares[k] += off * off;
      }
    }
  }

  static void rows(const void* self, void* w, const void* x, int64_t rows, int64_t row_stride, int64_t n, int64_t,
                   int64_t) {
    for (int64_t r = 0; r < rows; r += 4) {
      const A* row[4];
      A center[4], deviation[4], squares[4];
      for (int64_t k = 0; k < 4; ++k)
        row[k] = reinterpret_cast<const A*>(static_cast<const char*>(x) + std::min(r + k, rows - 1) * row_stride);
      F::fold4(row, n, center);
      for (A& c : center) c /= static_cast<A>(n);
      deviations4(row, n, center, deviation, squares);
      for (int64_t k = 0; k < std::min<int64_t>(4, rows - r); ++k) {
        M& total = static_cast<M*>(w)[r + k];
        if (static_cast<const Moments*>(self)->out_of_range(squares[k]))
          total = total.join(part_in_double(n, [&](int64_t i) { return static_cast<double>(row[k][i]); }));
        else
          total = total.join(part(static_cast<double>(n), center[k], deviation[k], squares[k]));
      }
    }
  }

  static void cols(const void* self, void* w, const void* const* row, int64_t count, int64_t m, int64_t) {
    constexpr int64_t kCols = 256;
    A center[kCols], deviation[kCols], squares[kCols];
    for (int64_t at = 0; at < m; at += kCols) {
      const int64_t width = std::min(kCols, m - at);
      std::fill_n(center, width, A(0));
      std::fill_n(deviation, width, A(0));
      std::fill_n(squares, width, A(0));
      for (int64_t r = 0; r < count; ++r) {
        const A* p = static_cast<const A*>(row[r]) + at;
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) center[j] += p[j];
      }
      for (int64_t j = 0; j < width; ++j) center[j] /= static_cast<A>(count);
      for (int64_t r = 0; r < count; ++r) {
        const A* p = static_cast<const A*>(row[r]) + at;
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) {
          const A d = p[j] - center[j];
          deviation[j] += d;
          squares[j] += d * d;
        }
      }
      M* total = static_cast<M*>(w) + at;
      for (int64_t j = 0; j < width; ++j) {
        if (static_cast<const Moments*>(self)->out_of_range(squares[j]))
          total[j] = total[j].join(part_in_double(
              count, [&](int64_t r) { return static_cast<double>(static_cast<const A*>(row[r])[at + j]); }));
        else
          total[j] = total[j].join(part(static_cast<double>(count), center[j], deviation[j], squares[j]));
      }
    }
  }

  template <class Out>
  void store(const M* w, int64_t at, int64_t step, int64_t m) const {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    for (int64_t j = 0; j < m; ++j) {
      if (mean) static_cast<Out*>(mean)[at + j * step] = static_cast<Out>(n > 0 ? w[j].mean : nan);
      if (var) static_cast<Out*>(var)[at + j * step] = static_cast<Out>(finish_moments(w[j], n, args));
    }
  }
  static void finish(const void* self, const void* w, int64_t at, int64_t step, int64_t m) {
    const Moments& s = *static_cast<const Moments*>(self);
    visit_float("var", s.out_dtype, [&](auto tag) {
      s.template store<typename decltype(tag)::type>(static_cast<const M*>(w), at, step, m);
    });
  }
};

}  // namespace

void moments(const ReducePlan& plan, const Tensor& mean, const Tensor& var, const MomentsArgs& args) {
  const bool wide = plan.dtype == DType::Float64;
  const DType loops = wide ? DType::Float64 : DType::Float32;
  auto run = [&](auto s) {
    using S = decltype(s);
    s.load_elements = load_as(loops, plan.dtype);
    s.mean = mean.defined() ? mean.data_ptr() : nullptr;
    s.var = var.defined() ? var.data_ptr() : nullptr;
    s.out_dtype = (mean.defined() ? mean : var).dtype();
    s.n = static_cast<double>(plan.n);
    s.args = args;
    run_reduction(plan, {sizeof(typename S::M), static_cast<int64_t>(itemsize(loops)), loops == plan.dtype, false,
                         S::load, S::init, S::rows, S::cols, S::merge, S::finish},
                  &s);
  };
  if (wide)
    run(Moments<double>{});
  else
    run(Moments<float>{});
}

}  // namespace norch::kernels::cpu::NORCH_ISA
