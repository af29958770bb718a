// For ops whose results are elements picked along one dim: max, sort, topk, median, ...
#pragma once

#include "norch/tensor.h"

namespace norch {

/// Records that values[...] = t[..., indices[...], ...] along `dim`, if `t` requires grad. `has_dim` says whether the
/// results keep the dim (with any size); without it they have it removed. All picks along a line are different, or the
/// gradients of equal ones add up with `repeats`.
void record_selected(const char* node, const Tensor& t, const Tensor& values, const Tensor& indices, int64_t dim,
                     bool has_dim, bool repeats = false);

/// Sizes of the tensor before, at and after a dim: it is (outer, n, inner) when contiguous.
struct DimSplit {
  int64_t outer = 1, n = 1, inner = 1;
  DimSplit(const Tensor& t, int64_t dim) {
    for (int64_t i = 0; i < t.dim(); ++i) (i < dim ? outer : i == dim ? n : inner) *= t.sizes()[i];
  }
};

}  // namespace norch
