// Tensors whose elements lie in the same order.
#pragma once

#include "norch/memory_format.h"
#include "norch/tensor.h"

namespace norch {

/// Whether `t`, of the shape of `like`, fills its memory in the order in which `like` does: row-major unless that is
/// dense in another one.
inline bool same_layout(const Tensor& like, const Tensor& t) {
  if (like.is_contiguous() || !is_dense(like.sizes(), like.strides())) return t.is_contiguous();
  for (size_t d = 0; d < like.sizes().size(); ++d)
    if (like.sizes()[d] != 1 && like.strides()[d] != t.strides()[d]) return false;
  return true;
}

}  // namespace norch
