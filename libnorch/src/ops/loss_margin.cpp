// Losses of class scores with margins, made of other ops, which differentiate them.
#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/loss.h"
#include "norch/ops/reduce.h"
#include "norch/ops/scan.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

namespace {

Tensor reduce(const Tensor& losses, Reduction reduction) {
  return reduction == Reduction::None ? losses : reduction == Reduction::Sum ? sum(losses) : mean(losses);
}

void check_scores(const char* op, const Tensor& input) {
  NORCH_CHECK_IMPLEMENTED(input.is_floating_point(), op, ": not implemented for ", input.dtype(),
                          "; convert to a floating-point dtype");
  const Ints s = input.sizes();
  NORCH_CHECK(s.size() <= 2 && (s.empty() || s.back() != 0), op, ": Expected non-empty vector or matrix with optional "
              "0-dim batch size, but got: ", s);
}

}  // namespace

Tensor multi_margin_loss(const Tensor& input, const Tensor& target, int64_t p, double margin, const Tensor& weight,
                         Reduction reduction) {
  NORCH_AUTOCAST(float32, multi_margin_loss, input, target, p, margin, weight, reduction);
  const char* op = "multi_margin_loss";
  NORCH_CHECK(p == 1 || p == 2, op, ": only p == 1 and p == 2 supported, got ", p);
  check_scores(op, input);
  const bool batched = input.dim() == 2;
  const int64_t rows = batched ? input.sizes()[0] : 1, classes = input.dim() ? input.sizes().back() : 1;
  NORCH_CHECK(target.dtype() == DType::Int64, op, ": expected scalar type Long for the target but found ",
              target.dtype());
  NORCH_CHECK(target.dim() <= 1 && target.numel() == rows, op, ": inconsistent target size, expected ", rows,
              " but got ", target.sizes());
  NORCH_CHECK(!weight.defined() || (weight.dim() <= 1 && weight.numel() == classes), op,
              ": inconsistent weight size, expected ", classes, " but got ",
              weight.defined() ? weight.sizes() : Ints());
  const Tensor x = reshape(input, {rows, classes}), t = reshape(target, {rows, 1});
  Tensor hinge = relu(Scalar(margin) - gather(x, 1, t) + x);
  if (p == 2) hinge = hinge * hinge;
  if (weight.defined()) hinge = hinge * reshape(index_select(reshape(weight, {classes}), 0, flatten(t)), {rows, 1});
  const Tensor losses = sum(scatter(hinge, 1, t, Scalar(0)), {1}) / Scalar(classes);
  return reduce(batched || target.dim() == 1 ? losses : reshape(losses, {}), batched ? reduction
                                                                            : reduction == Reduction::None ? reduction
                                                                                                           : Reduction::Sum);
}

Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  NORCH_AUTOCAST(float32, multilabel_margin_loss, input, target, reduction);
  const char* op = "multilabel_margin_loss";
  check_scores(op, input);
  NORCH_CHECK(target.dtype() == DType::Int64, op, ": expected scalar type Long for the target but found ",
              target.dtype());
  const bool batched = input.dim() == 2;
  const int64_t rows = batched ? input.sizes()[0] : 1, classes = input.dim() ? input.sizes().back() : 1;
  NORCH_CHECK(batched ? target.sizes() == input.sizes() : target.dim() <= 1 && target.numel() == classes, op,
              ": inconsistent target size: ", target.sizes(), " for input of size: ", input.sizes());
  const Tensor x = reshape(input, {rows, classes}), t = reshape(target, {rows, classes});
  const Tensor counts = cumprod(ge(t, Tensor::wrap(0)).to(DType::Int64), 1);  // 1 up to the first negative target
  const Tensor at = mul(t, counts);                                          // places behind it name class 0 ...
  const Tensor valid = counts.to(x.dtype());                                 // ... and count for nothing
  const Tensor is_target = gt(scatter_add(zeros({rows, classes}, x.options()), 1, at, valid), Tensor::wrap(0));
  // (rows, targets, classes)
  Tensor hinge = relu(Scalar(1) - unsqueeze(gather(x, 1, at), 2) + unsqueeze(x, 1));
  hinge = masked_fill(hinge * unsqueeze(valid, 2), unsqueeze(is_target, 1), Tensor::wrap(0));
  const Tensor losses = sum(hinge, {1, 2}) / Scalar(classes);
  return reduce(batched ? losses : reshape(losses, {}), reduction);
}

Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target, const Tensor& weight,
                                   Reduction reduction) {
  broadcast_shapes(target.sizes(), input.sizes(), "multilabel_soft_margin_loss");
  Tensor losses = neg(target * logsigmoid(input) + (Scalar(1) - target) * logsigmoid(neg(input)));
  if (weight.defined()) losses = losses * weight;
  // Over the classes of the input, even where its losses were broadcast.
  return reduce(sum(losses, {input.dim() - 1}) / Scalar(static_cast<double>(input.size(-1))), reduction);
}

}  // namespace norch
