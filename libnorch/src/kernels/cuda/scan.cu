// Running sums, products and log-sum-exps: policies of scan_walks.cuh. The others are in scan_select.cu.
#include "kernels/scan.h"

#include "kernels/cuda/scan_values.cuh"

namespace norch::kernels::cuda {

namespace {

/// Running sums or products.
template <class A>
struct FoldScan {
  using Acc = A;
  ScanOp op;
  DType dtype;
  int size;
  const char* x;
  void* y;
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
template <class A>
struct LogScan {
  struct Acc {
    A high, sum;
  };
  DType dtype;
  int size;
  const char* x;
  void* y;
  __device__ __forceinline__ Acc identity() const { return {-std::numeric_limits<A>::infinity(), A(0)}; }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    const bool second = b.high > a.high || b.high != b.high;
    const A high = second ? b.high : a.high, low = second ? a.high : b.high;
    const A share = high == low ? A(1) : exp(low - high);  // infinities too are equal
    return {high, second ? b.sum + a.sum * share : a.sum + b.sum * share};
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
    for (int j = 0; j < N; ++j) v[j] = items[j].high + log(items[j].sum);
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
