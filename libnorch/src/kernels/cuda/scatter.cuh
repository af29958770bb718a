// What the ways of scattering share.
#pragma once

#include "kernels/cuda/gather.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

/// Scatters where that can be done line by line; false, and nothing done, where it can't or would not be faster.
bool scatter_lines(const Plan& plan, const Along& along, ScatterOp op);

#if defined(__CUDACC__)
template <class S>
__device__ __forceinline__ S combine(ScatterOp op, S a, S b) {
  switch (op) {
    case ScatterOp::Add: return a + b;
    case ScatterOp::Mul: return a * b;
    case ScatterOp::Min: return a < b || a != a ? a : b;
    default: return a > b || a != a ? a : b;
  }
}

template <class T>
__device__ __forceinline__ SumType<T> widened(const T* p) {
  return static_cast<SumType<T>>(static_cast<ComputeType<T>>(*p));
}
template <class T>
__device__ __forceinline__ T narrowed(SumType<T> v) {
  if constexpr (std::is_same_v<T, bool>)
    return v != 0;
  else
    return static_cast<T>(static_cast<ComputeType<T>>(v));
}
#endif

}  // namespace norch::kernels::cuda
