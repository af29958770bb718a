// Running sums, products and log-sum-exps: policies of scan_walks.cuh. The others are in scan_select.cu.
#include "kernels/scan.h"

#include "kernels/cuda/scan_values.cuh"

namespace norch::kernels::cuda {

namespace {

/// Running sums or products.
template <class A>
struct FoldScan {
  using Acc = A;
  static constexpr int kInputs = 1, kBytes = sizeof(A);
  static constexpr bool kLevels = false;
  ScanOp op;
  DType dtype;
  int size;
  const char* x;
  void* y;
  __device__ __forceinline__ const char* input(int) const { return x; }
  __device__ __forceinline__ FoldScan from(const char* at, int) const {
    FoldScan p = *this;
    p.x = at;
    return p;
  }
  __device__ __forceinline__ A identity() const { return op == ScanOp::Sum ? A(0) : A(1); }
  __device__ __forceinline__ A join(A a, A b) const { return op == ScanOp::Sum ? a + b : a * b; }
  template <int N, int U, class F>
  __device__ __forceinline__ void load(A (&items)[N * U], bool reverse, const F& run) const {
    load_values<N, U>(items, dtype, x, size, reverse, run);
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, bool reverse, const A (&items)[N]) const {
    store_values(dtype, y, at, reverse, items);
  }
};

/// Running log-sum-exps, as the largest element and the sum of exp(x - largest).
///
/// Elements that lie near each other share their largest, their level: each costs one exponential then, not one per
/// join. The sums of the first of them are small, at least exp(-kNear), whose logarithm is exact to the last place of
/// kNear.
template <class A>
struct LogScan {
  struct Acc {
    A high, sum;
  };
  static constexpr int kInputs = 1, kBytes = sizeof(A);
  static constexpr bool kLevels = true;
  static constexpr A kNear = 8;
  DType dtype;
  int size;
  const char* x;
  void* y;
  __device__ __forceinline__ const char* input(int) const { return x; }
  __device__ __forceinline__ LogScan from(const char* at, int) const {
    LogScan p = *this;
    p.x = at;
    return p;
  }
  // Of float the hardware's: a sum's error is a few times 1e-7 of it, like that of adding up.
  static __device__ __forceinline__ A exp_of(A x) {
#if defined(__NVCC__)
    if constexpr (std::is_same_v<A, float>) {
      asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(x * 1.44269504f));
      return x;
    }
#endif
    return exp(x);
  }
  static __device__ __forceinline__ A log_of(A x) {
#if defined(__NVCC__)
    if constexpr (std::is_same_v<A, float>) {
      asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(x));
      return x * 0.693147181f;
    }
#endif
    return log(x);
  }
  __device__ __forceinline__ Acc identity() const { return {-std::numeric_limits<A>::infinity(), A(0)}; }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    const bool second = b.high > a.high || b.high != b.high;
    const A high = second ? b.high : a.high, low = second ? a.high : b.high;
    const A share = high == low ? A(1) : exp_of(low - high);  // infinities too are equal
    return {high, second ? b.sum + a.sum * share : a.sum + b.sum * share};
  }
  /// The sum of exp(x - high).
  static __device__ __forceinline__ A scaled(const Acc& a, A high) {
    return a.high == high ? a.sum : a.sum * exp_of(a.high - high);  // infinities too are equal
  }
  /// Scans the first `count` of a run of elements in place if they share a level; the others repeat the last.
  template <int N>
  __device__ __forceinline__ bool scan_level(Acc (&run)[N], int64_t count) const {
    A top = run[0].high, low = top, sum = 0;
#pragma unroll
    for (int k = 1; k < N; ++k) {
      if (k >= count) continue;
      top = ::max(top, run[k].high);
      low = ::min(low, run[k].high);
    }
    if (count <= 0 || !(top - low <= kNear)) return false;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      if (k < count) sum += exp_of(run[k].high - top);
      run[k] = {top, sum};
    }
    return true;
  }
  /// Joins what lies before a run that scan_level has scanned with each place of it.
  template <int N>
  __device__ __forceinline__ void join_level(const Acc& before, Acc (&run)[N]) const {
    const A top = run[0].high, high = ::max(before.high, top), earlier = scaled(before, high), share = exp_of(top - high);
#pragma unroll
    for (int k = 0; k < N; ++k) run[k] = {high, earlier + share * run[k].sum};
  }
  /// Scans a warp's runs behind `carry` if they share a level, and takes them into it.
  template <int N>
  __device__ __forceinline__ bool advance_level(Acc (&run)[N], bool inside, Acc& carry) const {
    A top = run[0].high, low = top;
#pragma unroll
    for (int k = 1; k < N; ++k) {
      top = ::max(top, run[k].high);
      low = ::min(low, run[k].high);
    }
#pragma unroll
    for (int by = 16; by > 0; by /= 2) {
      top = ::max(top, __shfl_xor_sync(kAll, top, by));
      low = ::min(low, __shfl_xor_sync(kAll, low, by));
    }
    if (!(top - low <= kNear)) return false;
    A sum = 0;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      if (inside) sum += exp_of(run[k].high - top);
      run[k].sum = sum;
    }
    A upto = sum;
#pragma unroll
    for (int by = 1; by < 32; by *= 2) {
      const A earlier = __shfl_up_sync(kAll, upto, by);
      if (static_cast<int>(threadIdx.x % 32) >= by) upto += earlier;
    }
    A before = __shfl_up_sync(kAll, upto, 1);
    if (threadIdx.x % 32 == 0) before = 0;
    const A high = ::max(carry.high, top), earlier = scaled(carry, high), share = exp_of(top - high);
#pragma unroll
    for (int k = 0; k < N; ++k) run[k] = {high, earlier + share * (before + run[k].sum)};
    carry = {high, earlier + share * __shfl_sync(kAll, upto, 31)};
    return true;
  }
  template <int N, int U, class F>
  __device__ __forceinline__ void load(Acc (&items)[N * U], bool reverse, const F& run) const {
    A v[N * U];
    load_values<N, U>(v, dtype, x, size, reverse, run);
#pragma unroll
    for (int k = 0; k < N * U; ++k) items[k] = {v[k], A(1)};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, bool reverse, const Acc (&items)[N]) const {
    A v[N];
#pragma unroll
    for (int j = 0; j < N; ++j) v[j] = items[j].high + log_of(items[j].sum);
    store_values(dtype, y, at, reverse, v);
  }
};

}  // namespace

void scan(ScanOp op, const ScanShape& s, const Tensor& out, const Tensor& in, bool reverse) {
  const bool vectors = aligned(in) && aligned(out);
  if (op == ScanOp::LogSumExp) {
    return visit_float("logcumsumexp", in.dtype(), [&](auto tag) {
      run(s, reverse,
          LogScan<SumType<typename decltype(tag)::type>>{in.dtype(), size_of(in), bytes_of(in), out.data_ptr()}, vectors,
          in.device());
    });
  }
  reduction::visit_value_type(in.dtype(), [&](auto tag) {
    run(s, reverse, FoldScan<typename decltype(tag)::type>{op, in.dtype(), size_of(in), bytes_of(in), out.data_ptr()},
        vectors, in.device());
  });
}

}  // namespace norch::kernels::cuda
