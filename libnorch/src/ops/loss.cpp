#include "norch/ops/loss.h"

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/dispatch.h"
#include "kernels/loss.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using kernels::LossOp;

namespace {

/// What the backward of an elementwise loss needs to know beside the tensors.
struct Pointwise {
  LossOp op;
  const char* node;
  double parameter = 0;
  double scale = 1;
};

Tensor loss_derivative(const Pointwise& p, int order, const Tensor& g, const Tensor& x, const Tensor& t);

/// The derivative in t of g * scale * l'(x, t), where h is the product of g and the gradient that comes in.
Tensor mixed_derivative(const Pointwise& p, const Tensor& h, const Tensor& x, const Tensor& t) {
  const Scalar scale = p.scale;
  switch (p.op) {
    case LossOp::Bce: return neg(div(h, x * (Scalar(1) - x))) * scale;
    case LossOp::KlDivLog: return neg(h * exp(t)) * scale;
    default: return neg(h) * scale;
  }
}

/// The derivative in x of g * scale * l'(x, t).
Tensor second_derivative(const Pointwise& p, const Tensor& h, const Tensor& x, const Tensor& t) {
  const Scalar scale = p.scale;
  switch (p.op) {
    case LossOp::Bce: {
      const Tensor v = x * (Scalar(1) - x);
      return div(h * (x * x - Scalar(2) * x * t + t), v * v) * scale;
    }
    case LossOp::BceLogits: {
      const Tensor s = sigmoid(x);
      return h * s * (Scalar(1) - s) * scale;
    }
    default: return {};  // linear in x
  }
}

/// g * scale * l'(x, t): the gradient of an elementwise loss in its input, or (order 2) that of a difference once more.
Tensor loss_derivative(const Pointwise& p, int order, const Tensor& g, const Tensor& x, const Tensor& t) {
  Tensor out = new_tensor(x.sizes(), x.dtype(), x.device());
  kernels::loss_derivative(x.device(), p.op, order, make_plan({out}, {g, x, t}), p.parameter, p.scale);
  if (recording(g, x, t)) {
    record("LossDerivativeBackward0", {g, x, t}, {out},
           [p, order, g = save(g), x = save(x), t = save(t)](Backward& ctx) {
             const Tensor xs = ctx.get(x), ts = ctx.get(t);
             const Tensor& gg = ctx.grad();
             if (ctx.needs(0)) ctx.set(0, loss_derivative(p, order, gg.to(xs.dtype()), xs, ts));
             if (!(ctx.needs(1) || ctx.needs(2)) || order == 2) return;  // differences have no third derivative
             const Tensor h = gg * ctx.get(g);
             if (kernels::is_difference(p.op)) {
               const Tensor d = loss_derivative(p, 2, h, xs, ts);
               if (ctx.needs(1)) ctx.set(1, d);
               if (ctx.needs(2)) ctx.set(2, neg(d));
               return;
             }
             if (ctx.needs(1)) ctx.set(1, second_derivative(p, h, xs, ts));
             if (ctx.needs(2)) ctx.set(2, mixed_derivative(p, h, xs, ts));
           });
  }
  return out;
}

/// The gradient of the loss in its target.
Tensor target_gradient(const Pointwise& p, const Tensor& g, const Tensor& x, const Tensor& t) {
  const Scalar scale = p.scale;
  switch (p.op) {
    case LossOp::Bce: {
      const Tensor floor = Tensor::wrap(-100.0);
      return g * (maximum(log1p(neg(x)), floor) - maximum(log(x), floor)) * scale;
    }
    case LossOp::BceLogits: return neg(g * x) * scale;
    case LossOp::KlDiv: return g * (log(t) + Scalar(1) - x) * scale;
    case LossOp::KlDivLog: return g * exp(t) * (t - x + Scalar(1)) * scale;
    default: return neg(loss_derivative(p, 1, g, x, t));
  }
}

void check_devices(const char* name, const Tensor& a, const Tensor& b) {
  NORCH_CHECK(a.device() == b.device(), name, ": Expected all tensors to be on the same device, but found at least two "
              "devices, ", a.device(), " and ", b.device(), "; move one with .to(device)");
}

/// Raises for a CPU input that holds anything but probabilities.
void check_probabilities(const char* name, const Tensor& input) {
  if (!input.is_cpu()) return;
  const Tensor x = input.detach().contiguous();
  visit_float(name, x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* p = static_cast<const T*>(x.data_ptr());
    bool good = true;
    for (int64_t i = 0; i < x.numel(); ++i) {
      const auto v = static_cast<ComputeType<T>>(p[i]);
      good &= v >= 0 && v <= 1;
    }
    NORCH_CHECK(good, name, ": all elements of input should be between 0 and 1");
  });
}

/// What the last operation of a loss is called that PyTorch composes of others.
const char* node_of(Reduction reduction, const char* none) {
  return reduction == Reduction::Mean ? "MeanBackward0" : reduction == Reduction::Sum ? "SumBackward0" : none;
}

Tensor pointwise(const char* name, Pointwise p, Tensor x, Tensor t, Reduction reduction) {
  check_devices(name, x, t);
  if (x.dtype() != t.dtype()) {
    const DType type = promote_types(x.dtype(), t.dtype());
    x = x.to(type);
    t = t.to(type);
  }
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), name, ": not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  if (x.sizes() != t.sizes()) {
    const Shape shape = broadcast_shapes(x.sizes(), t.sizes(), name);
    x = expand(x, shape);
    t = expand(t, shape);
  }
  Tensor out;
  if (reduction == Reduction::None) {
    out = new_like(x, x.dtype(), x.device(), MemoryFormat::preserve);
    kernels::loss_value(x.device(), p.op, make_plan({out}, {x, t}), p.parameter);
  } else {
    if (reduction == Reduction::Mean) p.scale = 1.0 / static_cast<double>(x.numel());
    x = x.contiguous();
    t = t.contiguous();
    out = new_tensor({}, x.dtype(), x.device());
    kernels::loss_sum(x.device(), p.op, out, x, t, p.parameter, p.scale);
  }
  if (recording(x, t)) {
    record(p.node, {x, t}, {out}, [p, x = save(x), t = save(t)](Backward& ctx) {
      const Tensor xs = ctx.get(x), ts = ctx.get(t);
      Tensor dx;
      if (ctx.needs(0) || (ctx.needs(1) && kernels::is_difference(p.op)))
        dx = loss_derivative(p, 1, ctx.grad(), xs, ts);
      if (ctx.needs(0)) ctx.set(0, dx);
      if (ctx.needs(1)) ctx.set(1, dx.defined() && kernels::is_difference(p.op) ? neg(dx)
                                                                               : target_gradient(p, ctx.grad(), xs, ts));
    });
  }
  return out;
}

Tensor reduce(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::None) return losses;
  const Tensor total = sum(losses);
  return reduction == Reduction::Sum ? total : total / Scalar(static_cast<double>(losses.numel()));
}

}  // namespace

Reduction parse_reduction(const std::string& text) {
  if (text == "mean") return Reduction::Mean;
  if (text == "sum") return Reduction::Sum;
  NORCH_CHECK_VALUE(text == "none", text, " is not a valid value for reduction");
  return Reduction::None;
}

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  NORCH_AUTOCAST(float32, mse_loss, input, target, reduction);
  return pointwise("mse_loss", {LossOp::Mse, "MseLossBackward0"}, input, target, reduction);
}

Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  NORCH_AUTOCAST(float32, l1_loss, input, target, reduction);
  if (input.is_complex() || target.is_complex()) return reduce(abs(sub(input, target)), reduction);
  if (is_integral(promote_types(input.dtype(), target.dtype()))) {
    const Tensor losses = abs(input - target);
    return reduction == Reduction::Mean ? mean(losses) : reduce(losses, reduction);
  }
  return pointwise("l1_loss", {LossOp::L1, node_of(reduction, "AbsBackward0")}, input, target, reduction);
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Reduction reduction, double beta) {
  NORCH_AUTOCAST(float32, smooth_l1_loss, input, target, reduction, beta);
  NORCH_CHECK(beta >= 0, "smooth_l1_loss does not support negative values for beta.");
  if (beta == 0) return l1_loss(input, target, reduction);
  return pointwise("smooth_l1_loss", {LossOp::SmoothL1, "SmoothL1LossBackward0", beta}, input, target, reduction);
}

Tensor huber_loss(const Tensor& input, const Tensor& target, Reduction reduction, double delta) {
  NORCH_AUTOCAST(float32, huber_loss, input, target, reduction, delta);
  NORCH_CHECK(delta > 0, "huber_loss does not support non-positive values for delta.");
  // The result has the input's dtype, whatever the target's.
  const Tensor losses = pointwise("huber_loss", {LossOp::Huber, "HuberLossBackward0", delta}, input, target, reduction);
  return input.is_floating_point() ? losses.to(input.dtype()) : losses;
}

Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction reduction) {
  NORCH_CHECK(!autocast::forbidden(input, autocast::float32_cuda),
              "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast: their input, a "
              "probability, loses too much as a 16-bit float. Use binary_cross_entropy_with_logits or "
              "BCEWithLogitsLoss without the sigmoid before it, which are safe");
  NORCH_AUTOCAST(float32_cpu, binary_cross_entropy, input, target, weight, reduction);
  NORCH_CHECK_VALUE(input.sizes() == target.sizes(), "Using a target size (", target.sizes(),
                    ") that is different to the input size (", input.sizes(),
                    ") is deprecated. Please ensure they have the same size.");
  NORCH_CHECK(input.dtype() == target.dtype(), "binary_cross_entropy: Found dtype ", target.dtype(), " but expected ",
              input.dtype(), "; cast the target to the input's dtype");
  check_probabilities("binary_cross_entropy", input);
  const Pointwise p{LossOp::Bce, "BinaryCrossEntropyBackward0"};
  if (!weight.defined()) return pointwise("binary_cross_entropy", p, input, target, reduction);
  check_devices("binary_cross_entropy", input, weight);
  return reduce((pointwise("binary_cross_entropy", p, input, target, Reduction::None) * weight).to(input.dtype()),
                reduction);
}

Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target, const Tensor& weight,
                                        const Tensor& pos_weight, Reduction reduction) {
  NORCH_AUTOCAST(float32, binary_cross_entropy_with_logits, input, target, weight, pos_weight, reduction);
  constexpr const char* name = "binary_cross_entropy_with_logits";
  NORCH_CHECK_VALUE(input.sizes() == target.sizes(), "Target size (", target.sizes(),
                    ") must be the same as input size (", input.sizes(), ")");
  const Pointwise p{LossOp::BceLogits, "BinaryCrossEntropyWithLogitsBackward0"};
  if (!weight.defined() && !pos_weight.defined()) return pointwise(name, p, input, target, reduction);
  Tensor losses;
  if (pos_weight.defined()) {
    check_devices(name, input, pos_weight);
    // The loss for a target of 1 is softplus(-x).
    const Tensor softplus = pointwise(name, p, input, ones_like(input), Reduction::None);
    losses = (Scalar(1) - target) * input + ((pos_weight - Scalar(1)) * target + Scalar(1)) * softplus;
  } else {
    losses = pointwise(name, p, input, target, Reduction::None);
  }
  if (weight.defined()) {
    check_devices(name, input, weight);
    losses = losses * weight;
  }
  return reduce(losses, reduction);
}

Tensor kl_div(const Tensor& input, const Tensor& target, Reduction reduction, bool log_target) {
  NORCH_AUTOCAST(float32, kl_div, input, target, reduction, log_target);
  NORCH_CHECK(input.is_floating_point() && target.is_floating_point(), "kl_div: Integral inputs not supported, got ",
              input.dtype(), " and ", target.dtype());
  return pointwise("kl_div", {log_target ? LossOp::KlDivLog : LossOp::KlDiv, node_of(reduction, "SubBackward0")}, input, target,
                   reduction);
}

}  // namespace norch
