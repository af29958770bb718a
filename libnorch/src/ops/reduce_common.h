// What the reduction families share.
#pragma once

#include <cstdint>
#include <optional>

#include "norch/ops/view.h"
#include "norch/tensor.h"

namespace norch {

/// Checked dims of a reduction.
struct ReducedDims {
  uint64_t mask = 0;  // bit d: dim d is reduced
  int64_t n = 1;      // elements that go into one result
  Shape out;          // shape of the result
  Shape ones;         // the input's shape with size 1 for reduced dims
};

/// Checks `dims` (empty: all) against the tensor. \throws IndexError, Error.
ReducedDims reduced_dims(const char* op, const Tensor& t, Ints dims, bool keepdim);

/// sum_to_size, in `dtype` where anything is to be added up.
Tensor sum_to_size(const Tensor& t, Ints sizes, std::optional<DType> dtype);

/// A result, or its gradient, with the reduced dims back as size 1.
inline Tensor with_ones(const Tensor& t, const ReducedDims& d) {
  return t.sizes() == Ints(d.ones) ? t : reshape(t, d.ones);
}

/// \throws as PyTorch for max and its like: IndexError if a reduced dim has size 0, Error if all are reduced.
void check_not_empty(const char* op, const Tensor& t, const ReducedDims& d, bool all);

}  // namespace norch
