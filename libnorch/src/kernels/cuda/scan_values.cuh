// Loads and stores of scans: elements of any dtype as values of the types that reductions compute in.
#pragma once

#include "kernels/cuda/scan_walks.cuh"

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

const char* bytes_of(const Tensor& t) { return static_cast<const char*>(t.data_ptr()); }
int size_of(const Tensor& t) { return static_cast<int>(itemsize(t.dtype())); }

bool aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 == 0; }

}  // namespace

}  // namespace norch::kernels::cuda
