// Walking over {tensor, tensor, index} plans on the GPU, with 64-bit offsets (strides may be negative).
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/gather.h"

namespace norch::kernels::cuda {

/// Up to 2^31 - 1 units of up to three operands, numbered in the order of the plan's dims.
struct IndexedWalk {
  static constexpr int kMaxDims = 16;
  int ndim = 0;
  uint32_t units = 1;
  FastDivider size[kMaxDims];
  int64_t strides[3][kMaxDims];
  char* data[3] = {};

  void add_dim(const Plan& p, int d) {
    NORCH_CHECK(ndim < kMaxDims, "indexing: more than ", kMaxDims,
                " dims that do not lie one after another in memory are not supported on CUDA; make the tensor contiguous()");
    NORCH_CHECK(p.shape[d] <= 0x7FFFFFFF / static_cast<int64_t>(units), "indexing: more than 2^31 elements at once are "
                "not supported on CUDA here; use smaller parts");
    size[ndim] = FastDivider(static_cast<uint32_t>(p.shape[d]));
    for (int k = 0; k < 3; ++k) strides[k][ndim] = k < p.operands ? p.strides[k][d] : 0;
    units *= static_cast<uint32_t>(p.shape[d]);
    ++ndim;
  }

  /// The byte offset of operand k at a unit.
  __device__ __forceinline__ int64_t offset(int k, uint32_t unit) const {
    int64_t o = 0;
    for (int d = 0; d < ndim; ++d) {
      uint32_t i = unit;
      unit = size[d].divide_in_place(i);
      o += i * strides[k][d];
    }
    return o;
  }
  /// All three at once.
  __device__ __forceinline__ void offsets(uint32_t unit, int64_t (&o)[3]) const {
    o[0] = o[1] = o[2] = 0;
    for (int d = 0; d < ndim; ++d) {
      uint32_t i = unit;
      unit = size[d].divide_in_place(i);
#pragma unroll
      for (int k = 0; k < 3; ++k) o[k] += i * strides[k][d];
    }
  }
};

/// An index that an earlier step found bad: it stays invalid whatever is added to it.
inline constexpr int64_t kBadOffset = INT64_MIN / 2;

struct DeviceAlong {
  int64_t size, stride;
  bool negative;
  int dim;
  IndexCheck check;

  explicit DeviceAlong(const Along& a)
      : size(a.size), stride(a.stride), negative(a.negative), dim(a.dim), check(index_check(a.op)) {}
#if defined(__CUDACC__)
  /// Whether the index is valid; counts it from the start of the dim. Reports it otherwise.
  __device__ __forceinline__ bool resolve(int64_t& i) const {
    const int64_t raw = i;
    if (negative && i < 0) i += size;
    if (static_cast<uint64_t>(i) < static_cast<uint64_t>(size)) return true;
    if (raw > kBadOffset / 2) check.valid(raw, size, dim);
    return false;
  }
#endif
};

/// Calls run(part) for parts of the plan of fewer than 2^31 elements.
template <class F>
void for_each_part(const Plan& plan, F&& run) {
  if (plan.numel == 0) return;
  if (plan.numel <= 0x7FFFFFFF) return run(plan);
  int widest = 0;
  for (int d = 1; d < plan.ndim; ++d)
    if (plan.shape[d] > plan.shape[widest]) widest = d;
  const int64_t half = plan.shape[widest] / 2;
  for (int64_t begin : {int64_t{0}, half}) {
    Plan part = plan;
    part.shape[widest] = begin ? plan.shape[widest] - half : half;
    part.numel = plan.numel / plan.shape[widest] * part.shape[widest];
    for (int k = 0; k < plan.operands; ++k) part.data[k] += begin * plan.strides[k][widest];
    for_each_part(part, run);
  }
}

}  // namespace norch::kernels::cuda
