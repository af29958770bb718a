#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// The index of the first of n elements that equals v, or that is NaN if v is; there is one.
template <class C>
int64_t find(const C* x, int64_t n, C v) {
  constexpr int64_t kBlock = 64;
  const bool nan = v != v;
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    int hit = 0;
    if (nan)
      for (int64_t j = 0; j < kBlock; ++j) hit |= x[i + j] != x[i + j];
    else
      for (int64_t j = 0; j < kBlock; ++j) hit |= x[i + j] == v;
    if (hit) break;
  }
  while (i + 1 < n && !(nan ? x[i] != x[i] : x[i] == v)) ++i;
  return i;
}

/// Over elements in the type C: float, double, int32 or int64.
template <bool kLargest, class C>
struct Select {
  using F = Found<C>;
  Load load_elements;
  const Tensor& values;
  const Tensor& indices;

  static void load(const void* self, void* to, const char* from, int64_t n, int64_t stride) {
    static_cast<const Select*>(self)->load_elements(to, from, n, stride);
  }
  static void init(const void*, void* w, int64_t m) { std::fill_n(static_cast<F*>(w), m, F{C(0), -1}); }
  static void keep(F& best, C value, int64_t index) {
    if (best.index < 0 || beats<kLargest>(value, best.value)) best = {value, index};
  }
  /// Of equal elements the first one stays, wherever the parts lie.
  static void merge(const void*, void* w, const void* other, int64_t m) {
    for (int64_t j = 0; j < m; ++j) {
      F& best = static_cast<F*>(w)[j];
      const F& o = static_cast<const F*>(other)[j];
      if (o.index < 0) continue;
      const bool earlier = o.index < best.index && !beats<kLargest>(best.value, o.value);
      if (best.index < 0 || earlier || beats<kLargest>(o.value, best.value)) best = o;
    }
  }

  static void rows(const void*, void* w, const void* x, int64_t rows, int64_t row_stride, int64_t n, int64_t first,
                   int64_t first_step) {
    const std::conditional_t<kLargest, MaxOf<C>, MinOf<C>> op{};
    for (int64_t r = 0; r < rows; ++r) {
      const C* p = reinterpret_cast<const C*>(static_cast<const char*>(x) + r * row_stride);
      F& best = static_cast<F*>(w)[r];
      // The extreme value first, at full speed; where it is only matters if it beats what was seen before.
      const C v = fold<C, C>(op, p, n);
      if (best.index < 0 || beats<kLargest>(v, best.value)) best = {v, first + r * first_step + find(p, n, v)};
    }
  }

  static void cols(const void*, void* w, const void* const* row, int64_t count, int64_t m, int64_t first) {
    using I = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>;
    F* best = static_cast<F*>(w);
    C value[kMaxColumns];
    I index[kMaxColumns];
    std::copy_n(static_cast<const C*>(row[0]), m, value);
    std::fill_n(index, m, I(0));
    // Vectors are written out, since compilers make branches of the selections.
    typedef C Values __attribute__((vector_size(kVectorBytes), aligned(alignof(C)), may_alias));
    typedef I Indices __attribute__((vector_size(kVectorBytes), aligned(alignof(I)), may_alias));
    constexpr int64_t kWidth = kVectorBytes / sizeof(C);
    for (I r = 1; r < static_cast<I>(count); ++r) {
      const C* p = static_cast<const C*>(row[r]);
      int64_t j = 0;
      for (; j + kWidth <= m; j += kWidth) {
        const Values x = *reinterpret_cast<const Values*>(p + j);
        Values& v = *reinterpret_cast<Values*>(value + j);
        Indices& i = *reinterpret_cast<Indices*>(index + j);
        const auto stays = (kLargest ? x <= v : x >= v) | (v != v);  // else x beats v or is the first NaN
        i = stays ? i : Indices{} + r;
        v = stays ? v : x;
      }
      for (; j < m; ++j) {
        if (!beats<kLargest>(p[j], value[j])) continue;
        value[j] = p[j];
        index[j] = r;
      }
    }
    for (int64_t j = 0; j < m; ++j) keep(best[j], value[j], first + index[j]);
  }

  static void finish(const void* self, const void* w, int64_t at, int64_t step, int64_t m) {
    const Select& s = *static_cast<const Select*>(self);
    const F* best = static_cast<const F*>(w);
    if (s.indices.defined())
      for (int64_t j = 0; j < m; ++j) s.indices.data<int64_t>()[at + j * step] = best[j].index;
    if (!s.values.defined()) return;
    visit_all(s.values.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* y = static_cast<T*>(s.values.data_ptr()) + at;
      for (int64_t j = 0; j < m; ++j) y[j * step] = static_cast<T>(best[j].value);
    });
  }
};

template <bool kLargest, class C>
void run(const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  using S = Select<kLargest, C>;
  const S s{load_as(dtype_of<C>, plan.dtype), values, indices};
  run_reduction(plan, {sizeof(typename S::F), sizeof(C), dtype_of<C> == plan.dtype, true, S::load, S::init, S::rows,
                       S::cols, S::merge, S::finish},
                &s);
}

template <bool kLargest>
void run(const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  switch (plan.dtype) {
    case DType::Float16:
    case DType::BFloat16:
    case DType::Float32: return run<kLargest, float>(plan, values, indices);
    case DType::Float64: return run<kLargest, double>(plan, values, indices);
    case DType::Int64: return run<kLargest, int64_t>(plan, values, indices);
    default: return run<kLargest, int32_t>(plan, values, indices);
  }
}

}  // namespace

void reduce_select(bool largest, const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  if (largest)
    run<true>(plan, values, indices);
  else
    run<false>(plan, values, indices);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
