// Losses and distances that are made of other ops, which differentiate them.
#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/distance.h"
#include "norch/ops/factory.h"
#include "norch/ops/loss.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

namespace {

Tensor reduce(const Tensor& losses, Reduction reduction) {
  return reduction == Reduction::None ? losses : reduction == Reduction::Sum ? sum(losses) : mean(losses);
}
Tensor number(double v) { return Tensor::wrap(v); }
Tensor at_least(const Tensor& x, double floor) { return clamp_min(x, number(floor)); }

}  // namespace

Tensor soft_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  NORCH_AUTOCAST(float32, soft_margin_loss, input, target, reduction);
  broadcast_shapes(target.sizes(), input.sizes(), "soft_margin_loss");
  // The result has the input's dtype, whatever the target's.
  const Tensor losses = softplus(neg(target * input));
  return reduce(input.is_floating_point() ? losses.to(input.dtype()) : losses, reduction);
}

Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target, double margin,
                           Reduction reduction) {
  NORCH_AUTOCAST(float32, margin_ranking_loss, input1, input2, target, margin, reduction);
  NORCH_CHECK(input1.dim() == input2.dim() && input1.dim() == target.dim(),
              "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: ",
              input1.sizes(), ", input2: ", input2.sizes(), ", target: ", target.sizes());
  return reduce(at_least(neg(target) * (input1 - input2) + Scalar(margin), 0), reduction);
}

Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target, double margin, Reduction reduction) {
  NORCH_AUTOCAST(float32, hinge_embedding_loss, input, target, margin, reduction);
  broadcast_shapes(target.sizes(), input.sizes(), "hinge_embedding_loss");
  const Tensor zero = zeros({}, input.options());
  const Tensor apart = where(ne(target, number(1)), at_least(Scalar(margin) - input, 0), zero);
  const Tensor near = where(ne(target, number(-1)), input, zero);
  return reduce(apart + near, reduction);
}

Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target, double margin,
                             Reduction reduction) {
  NORCH_AUTOCAST(float32, cosine_embedding_loss, input1, input2, target, margin, reduction);
  NORCH_CHECK((target.dim() == 0 || target.dim() == 1) && input1.dim() == target.dim() + 1 &&
                  input2.dim() == input1.dim(),
              "cosine_embedding_loss: ", target.dim(), "D target tensor expects ", target.dim() + 1,
              "D input tensors, but found inputs with sizes ", input1.sizes(), " and ", input2.sizes());
  constexpr double eps = 1e-12;
  const int64_t last = target.dim();
  const Tensor norms = (sum(input1 * input1, {last}) + Scalar(eps)) * (sum(input2 * input2, {last}) + Scalar(eps));
  const Tensor cosine = sum(input1 * input2, {last}) / sqrt(norms);
  const Tensor zero = zeros({}, cosine.options());
  const Tensor near = where(eq(target, number(1)), Scalar(1) - cosine, zero);
  const Tensor apart = where(eq(target, number(-1)), at_least(cosine - Scalar(margin), 0), zero);
  return reduce(near + apart, reduction);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p,
                           double eps, bool swap, Reduction reduction) {
  NORCH_AUTOCAST(float32, triplet_margin_loss, anchor, positive, negative, margin, p, eps, swap, reduction);
  NORCH_CHECK_VALUE(margin > 0, "margin must be greater than 0, got ", margin);
  NORCH_CHECK(anchor.dim() == positive.dim() && anchor.dim() == negative.dim(),
              "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
              "anchor ", anchor.dim(), "D, positive ", positive.dim(), "D, and negative ", negative.dim(), "D inputs");
  const Tensor near = pairwise_distance(anchor, positive, p, eps);
  Tensor far = pairwise_distance(anchor, negative, p, eps);
  if (swap) far = minimum(far, pairwise_distance(positive, negative, p, eps));
  return reduce(at_least(near - far + Scalar(margin), 0), reduction);
}

Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var_, bool full, double eps,
                         Reduction reduction) {
  Tensor var = var_;
  const Ints si = input.sizes(), sv = var.sizes();
  if (!var.is_wrapped_number() && sv != si) {
    if (!si.empty() && si.slice(0, si.size() - 1) == sv) {
      var = unsqueeze(var, -1);
    } else {
      int64_t differing = 0;
      for (size_t d = 0; d < si.size() && d < sv.size(); ++d) differing += sv[d] == si[d] ? 0 : sv[d];
      NORCH_CHECK_VALUE(si.size() == sv.size() && differing == 1, "var is of incorrect size: ", sv, " for an input of size ",
                        si);
    }
  }
  NORCH_CHECK_VALUE(!any(lt(var.detach(), number(0))).item<bool>(), "var has negative entry/entries");
  // The floor has no gradient of its own, as in PyTorch: what is clamped still learns.
  const Tensor v = var + (at_least(var.detach(), eps) - var.detach());
  const Tensor d = input - target;
  Tensor losses = (log(v) + d * d / v) * Scalar(0.5);
  if (full) losses = losses + Scalar(0.91893853320467274178);  // log(2 pi) / 2
  return reduce(losses, reduction);
}

Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, bool log_input, bool full, double eps,
                        Reduction reduction) {
  NORCH_AUTOCAST(float32, poisson_nll_loss, input, target, log_input, full, eps, reduction);
  broadcast_shapes(target.sizes(), input.sizes(), "poisson_nll_loss");
  Tensor losses = log_input ? exp(input) - target * input : input - target * log(input + Scalar(eps));
  if (full) {
    const Tensor stirling = target * log(target) - target + log(target * Scalar(6.28318530717958647693)) * Scalar(0.5);
    losses = losses + masked_fill(stirling, le(target, number(1)), number(0));
  }
  return reduce(losses, reduction);
}

}  // namespace norch
