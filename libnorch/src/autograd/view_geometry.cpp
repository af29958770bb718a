#include "autograd/node.h"
#include "norch/ops.h"

namespace norch::autograd {

ViewGeometry::ViewGeometry(const Tensor& base, const Tensor& view)
    : as_real_(base.is_complex() && !view.is_complex()),
      as_complex_(!base.is_complex() && view.is_complex()),
      dtype_(view.dtype()),
      sizes_(view.sizes()),
      sizes_in_memory_(view.sizes()),
      strides_(view.strides()),
      offset_(view.storage_offset() * (as_complex_ ? 2 : 1) - base.storage_offset() * (as_real_ ? 2 : 1)) {
  if (!as_complex_) return;
  for (int64_t& s : strides_) s *= 2;
  sizes_in_memory_.push_back(2);
  strides_.push_back(1);
}

Tensor ViewGeometry::take(const Tensor& like) const {
  const Tensor memory = as_real_ ? view_as_real(like) : like;
  const Tensor part = as_strided(memory, sizes_in_memory_, strides_, memory.storage_offset() + offset_);
  return as_complex_ ? view_as_complex(part) : part;
}

Tensor ViewGeometry::put(const Tensor& like, const Tensor& part) const {
  const Tensor memory = as_real_ ? view_as_real(like) : like;
  const Tensor out = as_strided_scatter(memory, as_complex_ ? view_as_real(part) : part, sizes_in_memory_, strides_,
                                        memory.storage_offset() + offset_);
  return as_real_ ? view_as_complex(out) : out;
}

}  // namespace norch::autograd
