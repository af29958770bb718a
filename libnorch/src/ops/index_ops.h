// Indexing by an IndexSpec, as the ops of indexing.cpp and index.cpp share it.
#pragma once

#include "ops/index_plan.h"

namespace norch {

/// The elements of `t` that the spec names. Differentiable.
Tensor index_get(const char* name, const Tensor& t, const IndexSpec& spec);
/// Zeros of shape `sizes` with `g` added at the places of the spec: the backward of index_get. Differentiable.
Tensor index_get_backward(const Tensor& g, Ints sizes, const IndexSpec& spec);
/// `self` with `values` written or added at the places of the spec; into `out` (memory of self), or a copy if that is
/// undefined. `values` broadcasts to the result of index_get. Differentiable.
/// \throws Error naming spec.op when it does not.
Tensor index_set(const char* name, const Tensor& self, const IndexSpec& spec, const Tensor& values,
                 kernels::ScatterOp op, Tensor out = {});
/// The places of the true elements of a mask, for dims from `dim` on.
IndexEntry mask_entry(const Tensor& mask, int64_t dim);

}  // namespace norch
