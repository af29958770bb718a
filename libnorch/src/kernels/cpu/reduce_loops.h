// The inner loops of CPU reductions, as templates over an op of kernels/reduce.h. Include it in kernel files only.
//
// Loops are compiled for few types: float, double, int32 and int64. Elements of other dtypes are converted on the way
// (load_as), a block of some kilobytes at a time, which costs less than the memory they come from.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/cpu/reducer.h"
#include "kernels/reduce.h"

namespace norch::kernels::cpu::NORCH_ISA {

inline constexpr int64_t kRun = 4096;  // elements folded in narrow accumulators before they join the wide ones

// ---- shared by the families of reductions; defined in reduce.cpp

/// Reads n elements `stride` bytes apart into adjacent ones of another type.
using Load = void (*)(void* to, const char* from, int64_t n, int64_t stride);
/// The Load from dtype `from` to `to`: itself, float32 from the 16-bit floats, int32 or int64 from smaller integers and
/// bool.
Load load_as(DType to, DType from);

/// The loops of a fold: see Reducer.
struct FoldLoops {
  void (*init)(const void*, void*, int64_t);
  void (*rows)(const void*, void*, const void*, int64_t, int64_t, int64_t, int64_t, int64_t);
  void (*cols)(const void*, void*, const void* const*, int64_t, int64_t, int64_t);
  void (*merge)(const void*, void*, const void*, int64_t);
};
/// Those of Sum, Prod, Max or Min in the type `t`: float32, float64, int64, or int32 for all but Prod.
FoldLoops fold_loops(ReduceOp op, DType t);

/// A fold, by loops in the type `type`, of what `load` and then `map` make of the elements.
struct FoldArgs {
  FoldLoops loops;
  DType type;
  Load load;
  bool as_they_are;  // neither load nor map changes adjacent elements
  void (*map)(void* x, int64_t n, double p) = nullptr;
  ReduceArgs args;
  void* out = nullptr;
  DType out_dtype = DType::Float32;
};
void run_fold(const FoldArgs& f, const ReducePlan& plan);

// ---- one row

/// Folds n adjacent elements with L accumulators: element i goes to accumulator i % L, and these join as a tree.
template <int L, class T, class A, class Op>
A fold_lanes(const Op& op, const T* x, int64_t n) {
  using C = ComputeType<T>;
  A acc[L];
  for (int l = 0; l < L; ++l) acc[l] = op.identity();
  int64_t i = 0;
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
  if (n >= 32) return fold_lanes<32, T, A>(op, x, n);
  A a = op.identity();
  for (int64_t i = 0; i < n; ++i) a = op.step(a, static_cast<ComputeType<T>>(x[i]));
  return a;
}

// ---- four rows at a time

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

/// The loops over elements of type L with accumulators of type L, and wide ones across runs: double for floats, int64
/// for integers.
template <template <class> class Op, class L>
struct Fold {
  using W = std::conditional_t<std::is_floating_point_v<L>, double, int64_t>;
  typedef L Vector __attribute__((vector_size(kVectorBytes)));
  typedef L Loaded __attribute__((vector_size(kVectorBytes), aligned(alignof(L)), may_alias));
  /// Accumulators of a row: 64 bytes of them with every instruction set, so that results are the same.
  static constexpr int kLanes = 64 / sizeof(L), kWidth = kVectorBytes / sizeof(L), kVectors = kLanes / kWidth;

  static void init(const void*, void* w, int64_t m) { std::fill_n(static_cast<W*>(w), m, Op<W>{}.identity()); }
  static void merge(const void*, void* w, const void* other, int64_t m) {
    for (int64_t j = 0; j < m; ++j)
      static_cast<W*>(w)[j] = Op<W>{}.join(static_cast<W*>(w)[j], static_cast<const W*>(other)[j]);
  }

  /// Op's step on vectors, which can't be template arguments.
  static Vector step(Vector a, Vector x) {
    if constexpr (std::is_same_v<Op<L>, SumOf<L>>)
      return a + x;
    else if constexpr (std::is_same_v<Op<L>, ProdOf<L>>)
      return a * x;
    else if constexpr (std::is_same_v<Op<L>, NanSumOf<L>>)
      return a + (x == x ? x : Vector{});
    else if constexpr (std::is_same_v<Op<L>, SumSquaresOf<L>>)
      return a + x * x;
    else if constexpr (std::is_same_v<Op<L>, SumAbsOf<L>>)
      return a + (x < 0 ? -x : x);
    else if constexpr (std::is_same_v<Op<L>, MaxOf<L>>)
      return x > a ? x : a;
    else
      return x < a ? x : a;
  }
  /// Whether step() passes over NaNs, which fold4 then takes note of beside it: steps are one instruction so.
  static constexpr bool kNanApart =
      std::is_floating_point_v<L> && (std::is_same_v<Op<L>, MaxOf<L>> || std::is_same_v<Op<L>, MinOf<L>>);

  /// Op's join on vectors.
  template <class V>
  static V join(V a, V b) {
    if constexpr (std::is_same_v<Op<L>, ProdOf<L>>)
      return a * b;
    else if constexpr (std::is_same_v<Op<L>, MaxOf<L>>)
      return (b > a) | (b != b) ? b : a;
    else if constexpr (std::is_same_v<Op<L>, MinOf<L>>)
      return (b < a) | (b != b) ? b : a;
    else
      return a + b;
  }
  /// Joins the lanes of a vector as a tree, lane l with lane l + half, and so on. By shuffles in registers where the
  /// compiler has them: a loop over lanes in memory takes so long that nothing is asked of memory meanwhile.
  template <int kCount, class V, int... I>
  static L join_halves(V v, std::integer_sequence<int, I...>) {
    if constexpr (kCount == 2) {
      return Op<L>{}.join(v[0], v[1]);
    } else {
#if __has_builtin(__builtin_shufflevector)
      return join_halves<kCount / 2>(
          join(__builtin_shufflevector(v, v, I...), __builtin_shufflevector(v, v, (I + kCount / 2)...)),
          std::make_integer_sequence<int, kCount / 4>());
#else
      L lanes[kCount];
      std::memcpy(lanes, &v, sizeof lanes);
      for (int half = kCount / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) lanes[l] = Op<L>{}.join(lanes[l], lanes[l + half]);
      return lanes[0];
#endif
    }
  }
  /// Joins the accumulators of a row.
  static L join_lanes(const Vector* acc) {
    Vector v[kVectors];
    for (int i = 0; i < kVectors; ++i) v[i] = acc[i];
    for (int half = kVectors / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) v[i] = join(v[i], v[i + half]);
    return join_halves<kWidth>(v[0], std::make_integer_sequence<int, kWidth / 2>());
  }

  /// Folds n elements of each of four rows: four chains of dependent steps hide each other's latency.
  static void fold4(const L* const* x, int64_t n, L* out) {
    const Op<L> op{};
    int64_t i = 0;
    for (int k = 0; k < 4; ++k) out[k] = op.identity();
    if (n >= kLanes) {
      Vector acc[4][kVectors];
      decltype(acc[0][0] != acc[0][0]) nan[4] = {};
      for (auto& row : acc)
        for (Vector& v : row) v = Vector{} + op.identity();
      for (; i + kLanes <= n; i += kLanes)
        for (int k = 0; k < 4; ++k)
          for (int v = 0; v < kVectors; ++v) {
            const Vector elements = *reinterpret_cast<const Loaded*>(x[k] + i + v * kWidth);
            acc[k][v] = step(acc[k][v], elements);
            if constexpr (kNanApart) nan[k] |= elements != elements;
          }
      if constexpr (kNanApart) {
        for (int k = 0; k < 4; ++k)
          for (Vector& v : acc[k]) v = nan[k] ? Vector{} + std::numeric_limits<L>::quiet_NaN() : v;
      }
      for (int k = 0; k < 4; ++k) out[k] = join_lanes(acc[k]);
    }
    for (; i < n; ++i)
      for (int k = 0; k < 4; ++k) out[k] = op.step(out[k], x[k][i]);
  }

  static void rows(const void*, void* w, const void* x, int64_t rows, int64_t row_stride, int64_t n, int64_t,
                   int64_t) {
    // Four blocks of neighbouring rows side by side: each is a stream through memory.
    const int64_t block = (rows + 3) / 4;
    for (int64_t r = 0; r < block; ++r) {
      const L* row[4];
      L out[4];
      for (int64_t k = 0; k < 4; ++k)
        row[k] = reinterpret_cast<const L*>(static_cast<const char*>(x) + std::min(r + k * block, rows - 1) * row_stride);
      fold4(row, n, out);
      for (int64_t k = 0; k < 4 && r + k * block < rows; ++k) {
        W& total = static_cast<W*>(w)[r + k * block];
        total = Op<W>{}.join(total, static_cast<W>(out[k]));
      }
    }
  }

  static void cols(const void*, void* w, const void* const* row, int64_t count, int64_t m, int64_t) {
    const Op<L> op{};
    L acc[kMaxColumns];
    std::fill_n(acc, m, op.identity());
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      const L *a = static_cast<const L*>(row[i]), *b = static_cast<const L*>(row[i + 1]);
      const L *c = static_cast<const L*>(row[i + 2]), *d = static_cast<const L*>(row[i + 3]);
#pragma omp simd
      for (int64_t j = 0; j < m; ++j) acc[j] = op.step(op.step(op.step(op.step(acc[j], a[j]), b[j]), c[j]), d[j]);
    }
    for (; i < count; ++i) {
      const L* a = static_cast<const L*>(row[i]);
#pragma omp simd
      for (int64_t j = 0; j < m; ++j) acc[j] = op.step(acc[j], a[j]);
    }
    W* total = static_cast<W*>(w);
    for (int64_t j = 0; j < m; ++j) total[j] = Op<W>{}.join(total[j], static_cast<W>(acc[j]));
  }
};

template <template <class> class Op, class L>
constexpr FoldLoops loops_of() {
  using F = Fold<Op, L>;
  return {F::init, F::rows, F::cols, F::merge};
}

}  // namespace norch::kernels::cpu::NORCH_ISA
