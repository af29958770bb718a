#include "norch/ops/embedding.h"

#include <algorithm>

#include "autograd/record.h"
#include "autograd/sparse_grad.h"
#include "core/factory.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/index_ops.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using kernels::ScatterOp;

namespace {

IndexSpec rows(const Tensor& index) { return {{{index, 0, 1}}, false, "embedding"}; }

/// The gradient of the table. Linear in `g`, so its own backward is a lookup too.
Tensor embedding_backward(const Tensor& g, const Tensor& index, int64_t num_rows, int64_t padding, bool scale) {
  Tensor from = g;
  if (scale) {
    const Tensor count = zeros({num_rows}, g.options());
    scatter_into(count, ones({}, g.options()), ScatterOp::Add,
                 [&](const Tensor& dst) { return index_walk(dst, rows(index)); });
    from = div(g, unsqueeze(index_get("", count, rows(index)), -1));
  }
  Tensor out = index_get_backward(from, {num_rows, g.sizes().back()}, rows(index));
  if (padding < 0) return out;
  if (recording(g)) return index_fill(out, 0, full({1}, padding, index.options()), 0);
  zero_(select(out, 0, padding));
  return out;
}

/// The same as rows with their numbers, those of padding left out.
Tensor embedding_sparse_backward(const Tensor& g, const Tensor& index, int64_t num_rows, int64_t padding) {
  const int64_t width = g.sizes().back();
  Tensor at = flatten(index), rows = reshape(g, {at.numel(), width});
  if (padding >= 0) {
    const Tensor kept = select(nonzero(ne(at, Tensor::wrap(padding))), 1, 0);
    at = index_select(at, 0, kept);
    rows = index_select(rows, 0, kept);
  }
  return make_sparse(unsqueeze(at, 0), rows, {num_rows, width});
}

}  // namespace

Tensor embedding(const Tensor& index_, const Tensor& weight, std::optional<int64_t> padding_idx,
                 bool scale_grad_by_freq, bool sparse) {
  NORCH_CHECK(weight.dim() == 2, "embedding: 'weight' must be 2-D, got shape ", weight.sizes());
  NORCH_CHECK(index_.dtype() == DType::Int64 || index_.dtype() == DType::Int32,
              "embedding: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, "
              "Int; but got ", index_.dtype(), " instead");
  NORCH_CHECK(index_.device() == weight.device(), "embedding: Expected all tensors to be on the same device, but found "
              "at least two devices, ", index_.device(), " and ", weight.device());
  const int64_t num_rows = weight.sizes()[0];
  int64_t padding = -1;
  if (padding_idx) {
    NORCH_CHECK(*padding_idx >= -num_rows && *padding_idx < num_rows,
                "embedding: padding_idx must be within num_embeddings (", num_rows, "), got ", *padding_idx);
    padding = *padding_idx < 0 ? *padding_idx + num_rows : *padding_idx;
  }
  const Tensor index = index_.to(DType::Int64);
  Tensor out = run_gather(weight, index_walk(weight, rows(index)));
  if (recording(weight)) {
    record("EmbeddingBackward0", {weight}, {out},
           [index = save(index), num_rows, padding, scale_grad_by_freq, sparse](Backward& ctx) {
             if (sparse) {
               NORCH_CHECK(!scale_grad_by_freq, "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
               return ctx.set(0, embedding_sparse_backward(ctx.grad(), ctx.get(index), num_rows, padding));
             }
             // A table that is also the last layer's weight has that gradient by now: the rows are added to it.
             const Tensor sum = padding < 0 && !scale_grad_by_freq && ctx.grad().itemsize() >= 4 ? ctx.take_sum(0) : Tensor();
             if (!sum.defined())
               return ctx.set(0, embedding_backward(ctx.grad(), ctx.get(index), num_rows, padding, scale_grad_by_freq));
             scatter_into(sum, ctx.grad(), ScatterOp::Add,
                          [at = ctx.get(index)](const Tensor& dst) { return index_walk(dst, rows(at)); });
             ctx.set(0, sum);
           });
  }
  return out;
}

Tensor one_hot(const Tensor& classes, int64_t num_classes) {
  NORCH_CHECK(classes.dtype() == DType::Int64, "one_hot is only applicable to index tensor of type LongTensor, got ",
              classes.dtype());
  NORCH_CHECK(num_classes >= -1, "one_hot: num_classes should be positive, got ", num_classes);
  NORCH_CHECK(classes.numel() > 0 || num_classes > 0,
              "Can not infer total number of classes from empty tensor.");
  int64_t largest = -1;
  const Tensor values = classes.cpu().contiguous();
  const int64_t* p = values.data<int64_t>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    NORCH_CHECK(p[i] >= 0, "Class values must be non-negative.");
    largest = std::max(largest, p[i]);
  }
  if (num_classes < 0) num_classes = largest + 1;
  NORCH_CHECK(num_classes > largest, "Class values must be smaller than num_classes.");
  Shape sizes(classes.sizes());
  sizes.push_back(num_classes);
  const Tensor out = zeros(sizes, classes.options());
  return scatter_(out, -1, unsqueeze(classes, -1), 1);
}

}  // namespace norch
