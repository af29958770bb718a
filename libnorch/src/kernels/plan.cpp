#include "kernels/plan.h"

#include <utility>

namespace norch {

namespace {

/// Whether dim `a` should lie inside dim `b`: by the first operand whose strides tell them apart, ignoring broadcast
/// (stride 0) ones.
bool inner_to(const Plan& p, int a, int b) {
  for (int k = 0; k < p.operands; ++k) {
    const int64_t sa = p.strides[k][a], sb = p.strides[k][b];
    if (sa == 0 || sb == 0) continue;
    if (sa != sb) return sa < sb;
    if (p.shape[a] != p.shape[b]) return p.shape[a] < p.shape[b];
  }
  return false;
}

void swap_dims(Plan& p, int a, int b) {
  std::swap(p.shape[a], p.shape[b]);
  for (int k = 0; k < p.operands; ++k) std::swap(p.strides[k][a], p.strides[k][b]);
}

void merge_dims(Plan& p) {
  int last = 0;
  for (int d = 1; d < p.ndim; ++d) {
    bool mergeable = true;
    for (int k = 0; k < p.operands; ++k) mergeable &= p.strides[k][last] * p.shape[last] == p.strides[k][d];
    if (mergeable) {
      p.shape[last] *= p.shape[d];
      continue;
    }
    ++last;
    if (last != d) {
      p.shape[last] = p.shape[d];
      for (int k = 0; k < p.operands; ++k) p.strides[k][last] = p.strides[k][d];
    }
  }
  p.ndim = last + 1;
}

/// Fills in the dims of size != 1, innermost first. False if there are too many even before merging.
void collect_dims(Plan& p, const Tensor* const* operands, Ints shape) {
  const int n = static_cast<int>(shape.size());
  for (int d = n - 1; d >= 0; --d) {
    if (shape[d] == 1) continue;
    if (p.ndim == Plan::kMaxDims) {
      // Merging now may free room: outer dims are still to come, so the order found so far is kept.
      merge_dims(p);
      NORCH_CHECK(p.ndim < Plan::kMaxDims, "a tensor with more than ", Plan::kMaxDims,
                  " dims that do not lie one after another in memory is not supported here; make it contiguous()");
    }
    const int at = p.ndim++;
    p.shape[at] = shape[d];
    for (int k = 0; k < p.operands; ++k) {
      const TensorImpl& t = *operands[k]->impl();
      const int own = d - (n - static_cast<int>(t.sizes.size()));
      const bool repeats = own < 0 || t.sizes[own] == 1;
      p.strides[k][at] = repeats ? 0 : t.strides[own] * p.itemsize(k);
    }
  }
}

}  // namespace

bool Plan::is_contiguous() const {
  if (ndim > 1) return false;
  if (ndim == 0) return true;
  for (int k = 0; k < operands; ++k)
    if (strides[k][0] != itemsize(k) && (k == 0 || strides[k][0] != 0)) return false;
  return true;
}

Plan make_plan(TensorRefs outputs, TensorRefs inputs) {
  Plan p;
  const Tensor* operands[Plan::kMaxOperands] = {};
  for (size_t i = 0; i < outputs.size(); ++i) operands[p.operands++] = &outputs[i];
  for (size_t i = 0; i < inputs.size(); ++i) operands[p.operands++] = &inputs[i];

  const TensorImpl& first = *operands[0]->impl();
  p.numel = first.numel;
  bool plain = true;  // every operand is contiguous and of the same shape, or has a single element
  for (int k = 0; k < p.operands; ++k) {
    const TensorImpl& t = *operands[k]->impl();
    p.data[k] = t.data();
    p.dtype[k] = t.dtype;
    if (t.device.is_cpu() && first.device.is_cuda()) p.immediates |= 1u << k;
    plain &= t.contiguous && (t.numel == 1 || t.sizes == first.sizes);
  }
  if (p.numel == 0) return p;
  if (plain) {
    p.ndim = 1;
    p.shape[0] = p.numel;
    for (int k = 0; k < p.operands; ++k)
      p.strides[k][0] = operands[k]->impl()->numel == p.numel ? p.itemsize(k) : 0;
    return p;
  }
  collect_dims(p, operands, first.sizes);
  if (p.ndim == 0) {
    p.ndim = 1;
    p.shape[0] = 1;
    for (int k = 0; k < p.operands; ++k) p.strides[k][0] = p.itemsize(k);
    return p;
  }
  for (int d = 1; d < p.ndim; ++d)
    for (int e = d; e > 0 && inner_to(p, e, e - 1); --e) swap_dims(p, e, e - 1);
  merge_dims(p);
  return p;
}

}  // namespace norch
