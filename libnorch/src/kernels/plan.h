// Plan: how to walk over several strided tensors together. All elementwise work and copies go through one.
//
// A plan has the fewest dims that describe the walk: size-1 dims are gone, dims that lie in memory one after another
// for every operand are merged, and the rest are ordered so that dim 0 has the smallest strides of operand 0. So
// contiguous operands of any shape make a plan of one dim, and a broadcast operand shows as a stride of 0.
#pragma once

#include <cstdint>

#include "core/tensor_refs.h"

namespace norch {

struct Plan {
  static constexpr int kMaxDims = 25;
  static constexpr int kMaxOperands = 5;

  int ndim = 0;  // at least 1 after making, unless numel is 0
  int operands = 0;
  uint32_t immediates = 0;  // bit k: operand k is a CPU number in a CUDA walk; data[k] is its address on the host
  int64_t numel = 0;
  int64_t shape[kMaxDims];                  // dim 0 is the innermost
  int64_t strides[kMaxOperands][kMaxDims];  // in bytes
  char* data[kMaxOperands];
  DType dtype[kMaxOperands];

  int64_t itemsize(int operand) const { return static_cast<int64_t>(norch::itemsize(dtype[operand])); }
  bool is_immediate(int operand) const { return (immediates >> operand) & 1; }
  /// Whether the walk is one run over adjacent elements of every operand, or a repeated single element (stride 0) of
  /// some operand other than 0.
  bool is_contiguous() const;
};

/// Plans a walk over the shape of `outputs[0]`; the other outputs have that shape too, the inputs broadcast to it.
/// Operands are numbered outputs first. A one-element CPU input beside a CUDA output becomes an immediate: the kernel
/// gets its value by itself, without a copy. Shapes must have been checked: this only computes.
/// \throws Error for more than Plan::kMaxDims dims that can't be merged.
Plan make_plan(TensorRefs outputs, TensorRefs inputs);

}  // namespace norch
