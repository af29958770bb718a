#include <cmath>

#include "norch/ops/binary.h"
#include "norch/ops/embedding.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

namespace {

bool is_index(const Tensor& t) { return t.dtype() == DType::Int64 || t.dtype() == DType::Int32; }

/// The bag of each of n indices, from where bags begin. \throws Error where the first one does not begin at 0.
Tensor bags_of(const Tensor& offsets, int64_t n) {
  const Tensor starts = offsets.to(DType::Int64);
  if (starts.is_cpu() && starts.numel() > 0) {
    const Tensor flat = starts.contiguous();
    const int64_t* p = flat.data<int64_t>();
    NORCH_CHECK(p[0] == 0, "embedding_bag: offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                "from position 0. However, got ", p[0]);
    const int64_t last = p[flat.numel() - 1];
    NORCH_CHECK(last <= n, "embedding_bag: offsets[-1] can not be greater than input's length(", n, "), but got offsets[-1] "
                "of ", last);
  }
  const Tensor places = arange(n, TensorOptions(kInt64).device(starts.device()));
  return searchsorted(starts, places, false, true) - Scalar(1);
}

}  // namespace

Tensor embedding_bag(const Tensor& index, const Tensor& weight, const Tensor& offsets, BagMode mode,
                     bool scale_grad_by_freq, const Tensor& per_sample_weights, bool include_last_offset,
                     std::optional<int64_t> padding_idx, bool sparse) {
  NORCH_CHECK_VALUE(weight.dim() == 2, "weight has to be a 2D Tensor, but got Tensor of dimension ", weight.dim());
  NORCH_CHECK(weight.is_floating_point(), "embedding_bag: expected a floating-point weight, got ", weight.dtype());
  NORCH_CHECK(is_index(index), "embedding_bag: Expected tensor for argument #1 'indices' to have one of the following scalar "
              "types: Long, Int; but got ", index.dtype(), " instead");
  NORCH_CHECK_VALUE(index.dim() == 1 || index.dim() == 2, "input has to be 1D or 2D Tensor, but got Tensor of dimension ",
                    index.dim());
  NORCH_CHECK_VALUE(!per_sample_weights.defined() || per_sample_weights.sizes() == index.sizes(),
                    "embedding_bag: If per_sample_weights (",
                    per_sample_weights.defined() ? per_sample_weights.sizes() : Ints(), ") is not None, then it must have "
                    "the same shape as the input (", index.sizes(), ")");
  NORCH_CHECK_IMPLEMENTED(!per_sample_weights.defined() || mode == BagMode::sum, "embedding_bag: per_sample_weights was not "
                          "None. per_sample_weights is only supported for mode='sum'");
  NORCH_CHECK(!per_sample_weights.defined() || per_sample_weights.dtype() == weight.dtype(), "embedding_bag: expected weight "
              "and per_sample_weights to have the same dtype, got ", weight.dtype(), " and ",
              per_sample_weights.defined() ? per_sample_weights.dtype() : weight.dtype());
  NORCH_CHECK_VALUE(!(mode == BagMode::max && scale_grad_by_freq),
                    "max mode does not support scaling the gradient by the frequency");
  NORCH_CHECK_VALUE(!(mode == BagMode::max && sparse), "max mode does not support sparse weights");
  const int64_t width = weight.sizes()[1];
  int64_t bags = 0;
  Tensor bag;
  if (index.dim() == 2) {
    NORCH_CHECK_VALUE(!offsets.defined(), "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                      "of fixed length sequences. However, found offsets of shape ",
                      offsets.defined() ? offsets.sizes() : Ints());
    bags = index.sizes()[0];
    const Tensor rows = arange(bags, TensorOptions(kInt64).device(index.device()));
    bag = flatten(expand(unsqueeze(rows, 1), index.sizes()));
  } else {
    NORCH_CHECK_VALUE(offsets.defined(), "offsets has to be a 1D Tensor but got None");
    NORCH_CHECK_VALUE(offsets.dim() == 1, "offsets has to be a 1D Tensor");
    NORCH_CHECK(is_index(offsets), "embedding_bag: Expected tensor for argument #3 'offsets' to have one of the following "
                "scalar types: Long, Int; but got ", offsets.dtype(), " instead");
    NORCH_CHECK(!include_last_offset || offsets.numel() >= 1,
                "include_last_offset: number of offset should be at least 1");
    bags = offsets.numel() - (include_last_offset ? 1 : 0);
    bag = bags_of(narrow(offsets, 0, 0, bags), index.numel());
  }
  if (bags == 0) return zeros({0, width}, weight.options()) + sum(weight) * Scalar(0);  // with a gradient of zero
  const Tensor flat = flatten(index).to(DType::Int64);
  Tensor rows = embedding(flat, weight, padding_idx, scale_grad_by_freq, sparse);
  if (per_sample_weights.defined()) rows = rows * unsqueeze(flatten(per_sample_weights), 1);
  Tensor counted;  // 1 for indices that count, 0 for padding
  if (padding_idx) {
    const int64_t padding = *padding_idx < 0 ? *padding_idx + weight.sizes()[0] : *padding_idx;
    counted = unsqueeze(ne(flat, Tensor::wrap(padding)), 1);
  }
  const Shape shape{bags, width};
  if (mode == BagMode::max) {
    // Padding takes part as the least number; bags of nothing else, like empty ones, stay zero.
    const Tensor each = expand(unsqueeze(bag, 1), rows.sizes());
    if (counted.defined()) rows = masked_fill(rows, logical_not(counted), Tensor::wrap(-INFINITY));
    const Tensor most = scatter_reduce(zeros(shape, weight.options()), 0, each, rows, "amax", false);
    return counted.defined() ? masked_fill(most, eq(most.detach(), Tensor::wrap(-INFINITY)), Tensor::wrap(0)) : most;
  }
  if (counted.defined()) rows = masked_fill(rows, logical_not(counted), Tensor::wrap(0));
  const Tensor sums = index_add(zeros(shape, weight.options()), 0, bag, rows);
  if (mode == BagMode::sum) return sums;
  const Tensor ones_each = counted.defined() ? counted.to(weight.dtype()) : ones({flat.numel(), 1}, weight.options());
  const Tensor counts = index_add(zeros({bags, 1}, weight.options()), 0, bag, ones_each);
  return sums / clamp_min(counts, Tensor::wrap(1));
}

}  // namespace norch
