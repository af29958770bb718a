// From a Plan to what an elementwise kernel gets: the part that no template needs.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"
#include "kernels/plan.h"

namespace norch::kernels::cuda {

/// A plan, or a part of one, for 32-bit index arithmetic: fewer than 2^31 units, offsets below 2^32 bytes. A unit is
/// one element, or a vector of adjacent ones.
struct Walk {
  static constexpr int kMaxDims = 12;

  uint32_t units;
  uint32_t tail;       // elements after the last whole vector, in a walk of one dim
  int ndim;
  uint32_t immediate;  // bit k: operand k is the number in value[k]
  uint32_t repeated;   // bit k: operand k is the same element along dim 0
  uint32_t wide;       // bit k: operand k is float32: for operands that the kernel takes as AnyFloat
  DType float_type;    // of the outputs that the kernel takes as AnyFloat, and of its inputs that are not wide
  FastDivider size[kMaxDims - 1];
  uint32_t strides[Plan::kMaxOperands][kMaxDims];  // bytes; along dim 0 from one unit to the next
  char* data[Plan::kMaxOperands];
  Bits128 value[Plan::kMaxOperands];
};

using WalkLauncher = void (*)(const Walk& walk, bool vectors, const void* context);

/// Cuts the plan into walks and hands each to `launch`, with units of `width` elements where sizes, strides and
/// addresses allow.
void for_each_walk(const Plan& plan, int width, WalkLauncher launch, const void* context);

}  // namespace norch::kernels::cuda
