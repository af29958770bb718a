// ReducePlan: how to walk over a tensor of which some dims are reduced.
//
// As a Plan does for elementwise work, it keeps the fewest dims that describe the walk: size-1 dims are gone, and dims
// that lie in memory one after another are merged. Kept and reduced dims are in two lists, each with the smallest
// input stride first. The input is read where it lies, whatever its strides.
#pragma once

#include "norch/tensor.h"

namespace norch {

struct ReducePlan {
  struct Dim {
    int64_t size;
    int64_t in;   // stride in the input, in bytes
    int64_t out;  // stride in the (contiguous) output, in elements; 0 for reduced dims
  };

  int kept = 0, reduced = 0;           // at least 1 each after making: an empty list becomes one dim of size 1
  Dim keep[kMaxTensorDims], reduce[kMaxTensorDims];
  int64_t outputs = 1;                 // number of results
  int64_t n = 1;                       // elements that go into each of them
  bool by_rows = true;                 // adjacent input elements belong to the same result
  const char* data = nullptr;
  DType dtype = DType::Float32;
};

/// Plans the reduction of the dims whose bits are set in `mask`; the output is contiguous, its dims in the input's
/// order.
ReducePlan make_reduce_plan(const Tensor& in, uint64_t mask);

}  // namespace norch
