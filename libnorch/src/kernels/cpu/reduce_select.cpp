#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// The index of the first of n elements that equals v, or that is NaN if v is; there is one.
template <class T>
int64_t find(const T* x, int64_t n, ComputeType<T> v) {
  using C = ComputeType<T>;
  constexpr int64_t kBlock = 64;
  const bool nan = v != v;
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    int hit = 0;
    if (nan)
      for (int64_t j = 0; j < kBlock; ++j) hit |= static_cast<C>(x[i + j]) != static_cast<C>(x[i + j]);
    else
      for (int64_t j = 0; j < kBlock; ++j) hit |= static_cast<C>(x[i + j]) == v;
    if (hit) break;
  }
  while (i + 1 < n) {
    const C c = static_cast<C>(x[i]);
    if (nan ? c != c : c == v) break;
    ++i;
  }
  return i;
}

template <bool kLargest, class T>
struct Select {
  using C = ComputeType<T>;
  using F = Found<C>;
  T* values;
  int64_t* indices;

  static void init(const void*, void* w, int64_t m) { std::fill_n(static_cast<F*>(w), m, F{C(0), -1}); }
  static void keep(F& best, C value, int64_t index) {
    if (best.index < 0 || beats<kLargest>(value, best.value)) best = {value, index};
  }
  static void merge(const void*, void* w, const void* later, int64_t m) {
    for (int64_t j = 0; j < m; ++j) {
      const F& o = static_cast<const F*>(later)[j];
      keep(static_cast<F*>(w)[j], o.value, o.index);
    }
  }

  static void rows(const void*, void* w, const char* x, int64_t rows, int64_t row_stride, int64_t n, int64_t stride,
                   int64_t first) {
    const std::conditional_t<kLargest, MaxOf<C>, MinOf<C>> op{};
    for (int64_t r = 0; r < rows; ++r) {
      F& best = static_cast<F*>(w)[r];
      for_runs<T>(x + r * row_stride, n, stride, 1024, [&](const T* p, int64_t count, int64_t at) {
        // The extreme value first, at full speed; where it is only matters if it beats what was seen before.
        const C v = fold<T, C>(op, p, count);
        if (best.index < 0 || beats<kLargest>(v, best.value)) best = {v, first + at + find(p, count, v)};
      });
    }
  }

  static void cols(const void*, void* w, const char* x, int64_t m, int64_t stride, int64_t rows, int64_t row_stride,
                   int64_t first) {
    using I = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>;
    constexpr int64_t kRows = 1 << 20;
    F* best = static_cast<F*>(w);
    C value[kBuffer];
    I index[kBuffer];
    T buffer[kBuffer];
    const bool adjacent = stride == static_cast<int64_t>(sizeof(T)) || m == 1;
    for (int64_t from = 0; from < rows; from += kRows) {
      const I count = static_cast<I>(std::min(kRows, rows - from));
      for (I r = 0; r < count; ++r) {
        const char* row = x + (from + r) * row_stride;
        const T* p = adjacent ? reinterpret_cast<const T*>(row) : gather<T>(row, m, stride, buffer);
        if (r == 0) {
          for (int64_t j = 0; j < m; ++j) {
            value[j] = static_cast<C>(p[j]);
            index[j] = 0;
          }
          continue;
        }
#pragma omp simd
        for (int64_t j = 0; j < m; ++j) {
          const C c = static_cast<C>(p[j]);
          const bool better = beats<kLargest>(c, value[j]);
          value[j] = better ? c : value[j];
          index[j] = better ? r : index[j];
        }
      }
      for (int64_t j = 0; j < m; ++j) keep(best[j], value[j], first + from + index[j]);
    }
  }

  static void finish(const void* self, const void* w, int64_t at, int64_t step, int64_t m) {
    const Select& s = *static_cast<const Select*>(self);
    for (int64_t j = 0; j < m; ++j) {
      const F& best = static_cast<const F*>(w)[j];
      if (s.values) s.values[at + j * step] = static_cast<T>(best.value);
      if (s.indices) s.indices[at + j * step] = best.index;
    }
  }
};

}  // namespace

void reduce_select(bool largest, const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  visit_all(plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto run = [&](auto select) {
      using S = decltype(select);
      select.values = values.defined() ? static_cast<T*>(values.data_ptr()) : nullptr;
      select.indices = indices.defined() ? indices.data<int64_t>() : nullptr;
      run_reduction(plan, {sizeof(typename S::F), S::init, S::rows, S::cols, S::merge, S::finish}, &select);
    };
    if (largest)
      run(Select<true, T>{});
    else
      run(Select<false, T>{});
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
