#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Each run of elements is summed, then its squared deviations from its own mean are, while it is in the cache; runs
/// join by Chan's rule in double. That keeps full accuracy whatever the mean is.
template <class T>
struct Moments {
  using A = ComputeType<T>;
  using M = MomentsOf<double>;
  struct Deviation : SumOf<A> {
    A mean;
    A step(A a, A x) const { return a + (x - mean); }
  };
  struct SquaredDeviation : SumOf<A> {
    A mean;
    A step(A a, A x) const { return a + (x - mean) * (x - mean); }
  };

  void* mean;
  void* var;
  bool out_is_input_type;
  double n;
  MomentsArgs args;

  static void init(const void*, void* w, int64_t m) { std::fill_n(static_cast<M*>(w), m, M{0, 0, 0}); }
  static void merge(const void*, void* w, const void* later, int64_t m) {
    for (int64_t j = 0; j < m; ++j) static_cast<M*>(w)[j] = static_cast<M*>(w)[j].join(static_cast<const M*>(later)[j]);
  }
  /// Moments of n elements from sums over them of the deviations from `center` and of their squares.
  static M part(double n, A center, A deviation, A squares) {
    const double d = static_cast<double>(deviation) / n;
    const double m2 = static_cast<double>(squares) - d * d * n;
    return {n, static_cast<double>(center) + d, m2 < 0 ? 0 : m2};
  }

  static void rows(const void*, void* w, const char* x, int64_t rows, int64_t row_stride, int64_t n, int64_t stride,
                   int64_t) {
    for (int64_t r = 0; r < rows; ++r) {
      M& total = static_cast<M*>(w)[r];
      for_runs<T>(x + r * row_stride, n, stride, kRun, [&](const T* p, int64_t count, int64_t) {
        const A center = fold<T, A>(SumOf<A>{}, p, count) / static_cast<A>(count);
        Deviation d;
        SquaredDeviation s;
        d.mean = s.mean = center;
        total = total.join(part(static_cast<double>(count), center, fold<T, A>(d, p, count), fold<T, A>(s, p, count)));
      });
    }
  }

  static void cols(const void*, void* w, const char* x, int64_t m, int64_t stride, int64_t rows, int64_t row_stride,
                   int64_t) {
    constexpr int64_t kRows = 64, kCols = 256;
    A center[kCols], deviation[kCols], squares[kCols];
    T buffer[kCols];
    const bool adjacent = stride == static_cast<int64_t>(sizeof(T)) || m == 1;
    for (int64_t from = 0; from < rows; from += kRows) {
      const int64_t count = std::min(kRows, rows - from);
      for (int64_t at = 0; at < m; at += kCols) {
        const int64_t width = std::min(kCols, m - at);
        auto row = [&](int64_t r) {
          const char* p = x + (from + r) * row_stride + at * stride;
          return adjacent ? reinterpret_cast<const T*>(p) : gather<T>(p, width, stride, buffer);
        };
        std::fill_n(center, width, A(0));
        std::fill_n(deviation, width, A(0));
        std::fill_n(squares, width, A(0));
        for (int64_t r = 0; r < count; ++r) {
          const T* p = row(r);
#pragma omp simd
          for (int64_t j = 0; j < width; ++j) center[j] += static_cast<A>(p[j]);
        }
        for (int64_t j = 0; j < width; ++j) center[j] /= static_cast<A>(count);
        for (int64_t r = 0; r < count; ++r) {
          const T* p = row(r);
#pragma omp simd
          for (int64_t j = 0; j < width; ++j) {
            const A d = static_cast<A>(p[j]) - center[j];
            deviation[j] += d;
            squares[j] += d * d;
          }
        }
        M* total = static_cast<M*>(w) + at;
        for (int64_t j = 0; j < width; ++j)
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
    if (s.out_is_input_type)
      s.template store<T>(static_cast<const M*>(w), at, step, m);
    else
      s.template store<SumType<T>>(static_cast<const M*>(w), at, step, m);
  }
};

}  // namespace

void moments(const ReducePlan& plan, const Tensor& mean, const Tensor& var, const MomentsArgs& args) {
  visit_float("var", plan.dtype, [&](auto tag) {
    using S = Moments<typename decltype(tag)::type>;
    const Tensor& any = mean.defined() ? mean : var;
    const S s{mean.defined() ? mean.data_ptr() : nullptr, var.defined() ? var.data_ptr() : nullptr,
              any.dtype() == plan.dtype, static_cast<double>(plan.n), args};
    run_reduction(plan, {sizeof(typename S::M), S::init, S::rows, S::cols, S::merge, S::finish}, &s);
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
