// Cross entropy of linear scores, also without ever holding all scores.
#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/join.h"
#include "norch/ops/linear.h"
#include "norch/ops/loss.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/softmax.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// One loss per row, for class indices. Backward computes the scores again, a chunk at a time.
Tensor losses_by_rows(const Tensor& input, const Tensor& w, const Tensor& target, const Tensor& bias,
                      const Tensor& weight, int64_t ignore_index, int64_t rows) {
  const int64_t n = input.sizes()[0];
  TensorList parts;
  {
    autograd::NoGrad off;
    for (int64_t at = 0; at < n; at += rows) {
      const int64_t count = std::min(rows, n - at);
      parts.push_back(cross_entropy(linear(narrow(input, 0, at, count), w, bias), narrow(target, 0, at, count), weight,
                                    Reduction::None, ignore_index));
    }
  }
  const Tensor out = parts.empty() ? zeros({0}, input.options()) : cat(parts);
  if (!recording(input, w, bias)) return out;
  record("LinearCrossEntropyBackward0", {input, w, bias}, {out},
         [input = save(input), w = save(w), bias = bias.defined() ? save(bias) : autograd::SavedTensor(),
          has_bias = bias.defined(), target = target.detach(), weight, ignore_index, rows, n](Backward& ctx) {
           const Tensor x = ctx.get(input), table = ctx.get(w), shift = has_bias ? ctx.get(bias) : Tensor();
           const Tensor kept = ne(target, Tensor::wrap(ignore_index));
           const Tensor classes = where(kept, target, zeros({}, target.options()));
           Tensor scale = where(kept, ctx.grad(), zeros({}, ctx.grad().options()));
           if (weight.defined()) scale = scale * index_select(weight, 0, classes);
           TensorList of_x;
           Tensor of_w, of_b;
           const auto accumulate = [](Tensor& sum, const Tensor& part) { sum = sum.defined() ? sum + part : part; };
           for (int64_t at = 0; at < n; at += rows) {
             const int64_t count = std::min(rows, n - at);
             const Tensor part = narrow(x, 0, at, count), s = unsqueeze(narrow(scale, 0, at, count), 1);
             // dL/dscores = s (softmax - one_hot)
             const Tensor g = scatter_add(softmax(linear(part, table, shift), 1) * s, 1,
                                          unsqueeze(narrow(classes, 0, at, count), 1), neg(s));
             if (ctx.needs(0)) of_x.push_back(mm(g, table));
             if (ctx.needs(1)) accumulate(of_w, mm(transpose(g, 0, 1), part));
             if (ctx.needs(2)) accumulate(of_b, sum(g, {0}));
           }
           if (ctx.needs(0) && !of_x.empty()) ctx.set(0, cat(of_x));
           ctx.set(1, of_w);
           ctx.set(2, of_b);
         });
  return out;
}

}  // namespace

Tensor linear_cross_entropy(const Tensor& input, const Tensor& linear_weight, const Tensor& target,
                            const Tensor& linear_bias, const Tensor& weight, Reduction reduction,
                            std::optional<int64_t> ignore_index, double label_smoothing, int64_t rows) {
  const Ints si = input.sizes(), sw = linear_weight.sizes();
  NORCH_CHECK(si.size() == 1 || si.size() == 2, "linear_cross_entropy: expected input with dimensionality 1 or 2, got ",
              si.size());
  NORCH_CHECK(sw.size() >= 2, "linear_cross_entropy: expected linear_weight with dimensionality at least 2, got ",
              sw.size());
  NORCH_CHECK(si.back() == sw.back(), "linear_cross_entropy: expected equal input and linear_weight last dimensions "
              "(in_features), got ", si.back(), " and ", sw.back(), ", respectively");
  const Ints per_input = sw.slice(0, sw.size() - 1);  // (C, d1, ...)
  NORCH_CHECK(!linear_bias.defined() || linear_bias.sizes() == per_input, "linear_cross_entropy: expected linear_bias "
              "shape ", per_input, ", got ", linear_bias.defined() ? linear_bias.sizes() : Ints());
  NORCH_CHECK(si.size() == 2 || sw.size() == 2, "linear_cross_entropy: K-dimensional loss defined by linear_weight shape ",
              sw, " requires batched input, (N, ", si.back(), "), got unbatched input with shape ", si);
  Shape scores(si.slice(0, si.size() - 1));
  for (int64_t d : per_input) scores.push_back(d);
  NORCH_CHECK(!ignore_index || target.sizes() != scores, "linear_cross_entropy: ignore_index cannot be specified when "
              "target contains probabilities");
  const int64_t ignored = ignore_index.value_or(-100);
  if (rows > 0 && sw.size() == 2 && label_smoothing == 0 && target.dtype() == DType::Int64) {
    const bool batched = si.size() == 2;
    const Tensor x = batched ? input : unsqueeze(input, 0), t = batched ? target : unsqueeze(target, 0);
    const Tensor losses = losses_by_rows(x, linear_weight, t, linear_bias, weight, ignored, rows);
    if (reduction == Reduction::None) return batched ? losses : squeeze(losses, 0);
    if (reduction == Reduction::Sum) return sum(losses);
    const Tensor kept = ne(t, Tensor::wrap(ignored));
    if (!weight.defined()) return sum(losses) / sum(kept).to(losses.dtype());
    const Tensor classes = where(kept, t, zeros({}, t.options()));
    return sum(losses) / sum(index_select(weight, 0, classes) * kept);
  }
  int64_t outputs = 1;
  for (int64_t d : per_input) outputs *= d;
  const Tensor flat = linear(input, reshape(linear_weight, {outputs, sw.back()}),
                             linear_bias.defined() ? reshape(linear_bias, {outputs}) : Tensor());
  return cross_entropy(reshape(flat, scores), target, weight, reduction, ignored, label_smoothing);
}

}  // namespace norch
