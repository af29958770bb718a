#include "ops/parts.h"

#include "autograd/record.h"
#include "core/factory.h"
#include "ops/index_plan.h"

namespace norch {

namespace {

/// Whether the parts lie one behind another along `dim`, with the same strides.
bool consecutive(const TensorList& parts, int64_t dim) {
  const Tensor& first = parts[0];
  int64_t at = first.storage_offset();
  for (const Tensor& t : parts) {
    if (t.storage() != first.storage() || t.dtype() != first.dtype() || t.dim() != first.dim() || t.storage_offset() != at)
      return false;
    for (int64_t d = 0; d < t.dim(); ++d)
      if (t.strides()[d] != first.strides()[d] || (d != dim && t.sizes()[d] != first.sizes()[d])) return false;
    at += t.sizes()[dim] * t.strides()[dim];
  }
  return true;
}

Shape whole_sizes(const TensorList& parts, int64_t dim) {
  Shape sizes(parts[0].sizes());
  for (size_t i = 1; i < parts.size(); ++i) sizes[dim] += parts[i].sizes()[dim];
  return sizes;
}

}  // namespace

Tensor whole_of(const TensorList& parts, int64_t dim, bool stacked) {
  if (parts.size() < 2) return {};
  for (const Tensor& t : parts)
    if (t.numel() == 0 || autograd::recording(t)) return {};
  if (!stacked)
    return consecutive(parts, dim) ? raw_view(parts[0], whole_sizes(parts, dim), parts[0].strides(), parts[0].storage_offset())
                                   : Tensor();
  const Tensor &first = parts[0], &second = parts[1];
  const int64_t step = second.storage_offset() - first.storage_offset();
  if (step <= 0) return {};
  for (size_t i = 0; i < parts.size(); ++i) {
    const Tensor& t = parts[i];
    if (t.storage() != first.storage() || t.dtype() != first.dtype() || t.sizes() != first.sizes() ||
        t.strides() != first.strides() || t.storage_offset() != first.storage_offset() + static_cast<int64_t>(i) * step)
      return {};
  }
  Shape sizes(first.sizes()), strides(first.strides());
  sizes.insert(static_cast<size_t>(dim), static_cast<int64_t>(parts.size()));
  strides.insert(static_cast<size_t>(dim), step);
  return raw_view(first, sizes, strides, first.storage_offset());
}

TensorList new_parts_like(const TensorList& like) {
  TensorList out;
  if (like.size() < 2) return out;
  const Tensor& first = like[0];
  for (int64_t dim = 0; dim < first.dim(); ++dim) {
    if (!consecutive(like, dim)) continue;
    const Shape sizes = whole_sizes(like, dim);
    if (numel_of(sizes) == 0 || !is_dense(sizes, first.strides())) continue;
    const Tensor whole = new_strided(sizes, first.strides(), first.dtype(), first.device());
    int64_t at = whole.storage_offset();
    for (const Tensor& t : like) {
      out.push_back(raw_view(whole, t.sizes(), t.strides(), at));
      at += t.sizes()[dim] * t.strides()[dim];
    }
    return out;
  }
  return out;
}

}  // namespace norch
