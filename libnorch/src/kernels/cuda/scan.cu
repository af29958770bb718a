// What scans join: the policies of scan_walks.cuh.
#include "kernels/scan.h"

#include "kernels/cuda/scan_walks.cuh"
#include "kernels/reduce.h"

namespace norch::kernels::cuda {

namespace {

using reduction::Raw;
using reduction::Values;

/// The values of U runs of N neighbouring elements of the array x, of which those of a run are turned round in `reverse`.
template <int N, int U, class A, class F>
__device__ __forceinline__ void load_values(A (&v)[N * U], DType t, const char* x, int size, bool reverse, const F& run) {
  Raw<N, Values<A>::kLargest> raw[U];
  reduction::load_runs<A, N>(t, raw, [&](int u) { return x + run(u).at * size; });
#pragma unroll
  for (int u = 0; u < U; ++u) {
    A some[N];
    reduction::decode(t, raw[u], some);
#pragma unroll
    for (int j = 0; j < N; ++j) v[u * N + j] = reverse ? some[N - 1 - j] : some[j];
  }
}
/// Stores a run likewise.
template <class A, int N>
__device__ __forceinline__ void store_values(DType t, void* y, int64_t at, bool reverse, const A (&v)[N]) {
  A some[N];
#pragma unroll
  for (int j = 0; j < N; ++j) some[j] = reverse ? v[N - 1 - j] : v[j];
  reduction::store_run(t, y, at, some);
}

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

template <class A>
struct SelectScan {
  using Acc = Found<A>;
  bool largest;
  DType dtype;
  int size;
  const char* x;
  void* values;
  int64_t* indices;
  __device__ __forceinline__ Acc identity() const { return {A(0), -1}; }
  template <int N, int U, class F>
  __device__ __forceinline__ void load(Acc (&items)[N * U], bool reverse, const F& run) const {
    A v[N * U];
    load_values<N, U>(v, dtype, x, size, reverse, run);
#pragma unroll
    for (int k = 0; k < N * U; ++k) items[k] = {v[k], run(k / N).i + k % N};
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    if (a.index < 0) return b;
    if (b.index < 0) return a;
    const A u = a.value, v = b.value;
    return v != v || (u == u && (largest ? v >= u : v <= u)) ? b : a;
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, bool reverse, const Acc (&items)[N]) const {
    A v[N];
    int64_t index[N];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      v[j] = items[j].value;
      index[j] = items[j].index;
    }
    store_values(dtype, values, at, reverse, v);
    store_values(DType::Int64, indices, at, reverse, index);
  }
};

/// y -> term + factor * y, composed.
template <class A>
struct LinearScan {
  struct Acc {
    A factor, term;
  };
  DType dtype;
  int size;
  const char* x;
  const char* g;
  void* y;
  __device__ __forceinline__ Acc identity() const { return {A(1), A(0)}; }
  template <int N, int U, class F>
  __device__ __forceinline__ void load(Acc (&items)[N * U], bool reverse, const F& run) const {
    A factor[N * U], term[N * U];
    load_values<N, U>(factor, dtype, x, size, reverse, run);
    load_values<N, U>(term, dtype, g, size, reverse, run);
#pragma unroll
    for (int k = 0; k < N * U; ++k) items[k] = {run(k / N).i + k % N == 0 ? A(0) : factor[k], term[k]};
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    return {a.factor * b.factor, b.term + b.factor * a.term};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, bool reverse, const Acc (&items)[N]) const {
    A v[N];
#pragma unroll
    for (int j = 0; j < N; ++j) v[j] = items[j].term;
    store_values(dtype, y, at, reverse, v);
  }
};

const char* bytes_of(const Tensor& t) { return static_cast<const char*>(t.data_ptr()); }
int size_of(const Tensor& t) { return static_cast<int>(itemsize(t.dtype())); }

bool aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 == 0; }

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

void scan_select(bool largest, const ScanShape& s, const Tensor& values, const Tensor& indices, const Tensor& in) {
  reduction::visit_value_type(in.dtype(), [&](auto tag) {
    run(s, false,
        SelectScan<typename decltype(tag)::type>{largest, in.dtype(), size_of(in), bytes_of(in), values.data_ptr(),
                                                 indices.data<int64_t>()},
        aligned(in) && aligned(values) && aligned(indices), in.device());
  });
}

void linear_scan(const ScanShape& s, const Tensor& out, const Tensor& x, const Tensor& g, bool reverse) {
  visit_float("linear_scan", x.dtype(), [&](auto tag) {
    run(s, reverse,
        LinearScan<SumType<typename decltype(tag)::type>>{x.dtype(), size_of(x), bytes_of(x), bytes_of(g),
                                                          out.data_ptr()},
        aligned(out) && aligned(x) && aligned(g), x.device());
  });
}

}  // namespace norch::kernels::cuda
