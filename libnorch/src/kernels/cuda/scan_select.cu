// Running extrema with their indices, and running linear recurrences: policies of scan_walks.cuh.
#include "kernels/scan.h"

#include "kernels/cuda/scan_values.cuh"

namespace norch::kernels::cuda {

namespace {

/// Running extrema and the last places of them. Places count to 2^32 - 1, so that those of float32 are passed on in two
/// words.
template <class A>
struct SelectScan {
  struct Acc {
    A value;
    uint32_t index;
  };
  static constexpr int kInputs = 1, kBytes = sizeof(A);
  static constexpr bool kLevels = false;
  static constexpr uint32_t kNowhere = ~uint32_t{0};
  bool largest;
  DType dtype;
  int size;
  const char* x;
  void* values;
  int64_t* indices;
  __device__ __forceinline__ const char* input(int) const { return x; }
  __device__ __forceinline__ SelectScan from(const char* at, int) const {
    SelectScan p = *this;
    p.x = at;
    return p;
  }
  __device__ __forceinline__ Acc identity() const {
    using Limits = std::numeric_limits<A>;
    return {Limits::has_infinity ? -Limits::infinity() : Limits::lowest(), kNowhere};
  }
  /// Turns the order of values round if the smallest is wanted, and back.
  __device__ __forceinline__ A ordered(A v) const {
    if constexpr (std::is_same_v<A, int64_t>)
      return largest ? v : ~v;
    else
      return largest ? v : -v;
  }
  template <int N, int U, class F>
  __device__ __forceinline__ void load(Acc (&items)[N * U], bool reverse, const F& run) const {
    A v[N * U];
    load_values<N, U>(v, dtype, x, size, reverse, run);
#pragma unroll
    for (int k = 0; k < N * U; ++k) items[k] = {ordered(v[k]), static_cast<uint32_t>(run(k / N).i + k % N)};
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    const bool later = (b.value >= a.value) | (b.value != b.value);
    return later & (b.index != kNowhere) ? b : a;
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, bool reverse, const Acc (&items)[N]) const {
    A v[N];
    int64_t index[N];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      v[j] = ordered(items[j].value);
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
  static constexpr int kInputs = 2, kBytes = 2 * sizeof(A);
  static constexpr bool kLevels = false;
  DType dtype;
  int size;
  const char* x;
  const char* g;
  void* y;
  __device__ __forceinline__ const char* input(int i) const { return i == 0 ? x : g; }
  __device__ __forceinline__ LinearScan from(const char* at, int apart) const {
    LinearScan p = *this;
    p.x = at;
    p.g = at + apart;
    return p;
  }
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

}  // namespace

void scan_select(bool largest, const ScanShape& s, const Tensor& values, const Tensor& indices, const Tensor& in) {
  NORCH_CHECK(s.n < int64_t{0xFFFFFFFF}, largest ? "cummax" : "cummin", ": ", s.n, " elements along the dim are more than the ",
              "2^32 - 2 that are supported on CUDA; use parts, or a CPU tensor");
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
