#include "norch/ops/activation.h"

#include <cmath>
#include <limits>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/activation.h"
#include "kernels/binary.h"
#include "kernels/ternary.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "ops/autocast.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using autograd::saved_input;
using kernels::Activation;
using kernels::Parameters;

namespace {

Tensor number(double v) { return Tensor::wrap(v); }

Tensor forward(const char* name, Activation f, const Tensor& x, const Parameters& p, const Tensor& out) {
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), name, ": not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  Elementwise e(name, {x}, x.dtype(), x.dtype(), out);
  kernels::activation(e.device, f, e.plan, p);
  return e.finish();
}

/// g * f'(x) in one kernel, or in differentiable ops when the backward is recorded itself (create_graph). The
/// derivative as ops, `slope(x, p)`, is what makes derivatives of any order right. With `row_sums` the sums over all dims but the
/// last are left beside it, if that kernel can make them on the way.
template <class Slope>
Tensor backward(Activation f, const Tensor& g, const Tensor& x, const Parameters& p, Slope slope, bool row_sums = false) {
  if (recording(g, x)) return g * slope(x, p);
  if (row_sums && kernels::activation_makes_row_sums(f, g, x)) {
    const int64_t n = x.size(-1);
    const Tensor dx = new_tensor(x.sizes(), x.dtype(), x.device()), sums = new_tensor({n}, DType::Float32, x.device());
    kernels::activation_backward_with_sums(x.device(), f, x.numel() / n, n, dx, sums, g, x);
    autograd::set_row_sums(dx, sums);
    return dx;
  }
  const DType type = result_type(g, x);
  Elementwise e("activation_backward", {g, x}, type, type, {});
  kernels::activation_backward(e.device, f, e.plan, p);
  return e.finish();
}

/// An activation that saves its input.
template <class Slope>
Tensor apply(const char* name, const char* node, Activation f, const Tensor& x, const Parameters& p, const Tensor& out,
             Slope slope) {
  const bool keep = recording(x);
  const Tensor saved = keep ? saved_input(x, out) : Tensor();
  Tensor result = forward(name, f, x, p, out);
  if (keep) {
    record(node, {x}, {result}, [x = save(saved), f, p, slope](Backward& ctx) {
      ctx.set(0, backward(f, ctx.grad(), ctx.get(x), p, slope, ctx.wants_row_sums(0)));
    });
  }
  return result;
}

/// An activation whose derivative can be told from the result, which is saved.
template <class Slope>
Tensor apply_of_result(const char* name, const char* node, Activation f, const Tensor& x, const Parameters& p,
                       const Tensor& out, Slope slope) {
  Tensor result = forward(name, f, x, p, out);
  if (recording(x)) {
    record(node, {x}, {result}, [y = save_output(result), f, p, slope](Backward& ctx) {
      ctx.set(0, backward(f, ctx.grad(), ctx.get(y), p, slope, ctx.wants_row_sums(0)));
    });
  }
  return result;
}

// ---- derivatives as ops. Piecewise constant ones are masks, whose own derivative is zero.

Tensor as_number(const Tensor& mask, const Tensor& x) { return mask.to(x.dtype()); }
Tensor normal_cdf(const Tensor& x) { return (erf(x * std::sqrt(0.5)) + 1.0) * 0.5; }
Tensor normal_density(const Tensor& x) { return exp(x * x * -0.5) * (1 / std::sqrt(2 * 3.14159265358979323846)); }

#define NORCH_SLOPE(name) Tensor name(const Tensor& x, [[maybe_unused]] const Parameters& p)

NORCH_SLOPE(positive_slope) { return as_number(gt(x, number(0)), x); }
NORCH_SLOPE(leaky_slope) { return as_number(gt(x, number(0)), x) * (1 - p.a) + p.a; }
NORCH_SLOPE(elu_slope) {
  // exp only of what lies below zero: elsewhere it might overflow.
  const Tensor below = exp(clamp_max(x, number(0)) * p.c) * (p.a * p.c);
  return where(gt(x, number(0)), number(p.b), below);
}
NORCH_SLOPE(gelu_slope) { return normal_cdf(x) + x * normal_density(x); }
NORCH_SLOPE(gelu_tanh_slope) {
  const double k = 0.79788456080286535588;
  const Tensor t = tanh((x + x * x * x * 0.044715) * k);
  return (t + 1.0) * 0.5 + x * (1.0 - t * t) * (x * x * (3 * 0.044715) + 1.0) * (0.5 * k);
}
NORCH_SLOPE(silu_slope) {
  const Tensor s = sigmoid(x);
  return s * (x * (1.0 - s) + 1.0);
}
NORCH_SLOPE(mish_slope) {
  const Tensor t = tanh(softplus(x)), s = sigmoid(x);
  return t + x * s * (1.0 - t * t);
}
NORCH_SLOPE(softplus_slope) { return where(gt(x * p.a, number(p.b)), number(1), sigmoid(x * p.a)); }
NORCH_SLOPE(hardtanh_slope) { return as_number(logical_and(gt(x, number(p.a)), lt(x, number(p.b))), x); }
NORCH_SLOPE(hardsigmoid_slope) {
  return as_number(logical_and(gt(x, number(-3)), lt(x, number(3))), x) * (1.0 / 6);
}
NORCH_SLOPE(hardswish_slope) {
  return where(ge(x, number(3)), number(1), where(le(x, number(-3)), number(0), x * (1.0 / 3) + 0.5));
}
NORCH_SLOPE(threshold_slope) { return as_number(gt(x, number(p.a)), x); }
NORCH_SLOPE(logsigmoid_slope) { return sigmoid(neg(x)); }
NORCH_SLOPE(softsign_slope) {
  const Tensor y = reciprocal(abs(x) + 1.0);
  return y * y;
}
NORCH_SLOPE(tanhshrink_slope) {
  const Tensor t = tanh(x);
  return t * t;
}
NORCH_SLOPE(shrink_slope) { return as_number(gt(abs(x), number(p.a)), x); }
NORCH_SLOPE(sigmoid_slope) { return (1.0 - x) * x; }
NORCH_SLOPE(tanh_slope) { return 1.0 - x * x; }

// ---- the ops, for both forms

Tensor limited(const char* name, const Tensor& x, const Scalar& low, const Scalar& high, const Tensor& out) {
  NORCH_CHECK(x.dtype() != DType::Bool, name, ": Bool inputs not supported for hardtanh");
  NORCH_CHECK_VALUE(!(low.to_double() > high.to_double()), "min_val cannot be greater than max_val");
  if (x.is_floating_point())
    return apply(name, "HardtanhBackward0", Activation::Hardtanh, x, {low.to_double(), high.to_double(), 0}, out,
                 hardtanh_slope);
  NORCH_CHECK(x.dtype() != DType::UInt8 || low.to_double() >= 0, name,
              ": cannot do hardtanh on an unsigned type with negative limits");
  Elementwise e(name, {x, Tensor::wrap(low), Tensor::wrap(high)}, x.dtype(), x.dtype(), out);
  kernels::ternary(e.device, kernels::TernaryOp::Clamp, e.plan, 1);
  return e.finish();
}

}  // namespace

// name(x, ...) and name_(self, ...) from name_op(op_name, x, ..., out); the second form for ops with parameters.
#define NORCH_TWO_FORMS(name)                                                 \
  Tensor name(const Tensor& x) { return name##_op(#name, x, {}); }            \
  Tensor name##_(const Tensor& self) {                                        \
    InPlace write(#name "_", self);                                           \
    return write.finish(name##_op(#name "_", write.input(), write.output())); \
  }

static Tensor relu_op(const char* name, const Tensor& x, const Tensor& out) {
  NORCH_CHECK(x.dtype() != DType::Bool, name, ": Boolean inputs not supported for relu");
  if (x.is_floating_point())
    return apply_of_result(name, "ReluBackward0", Activation::Relu, x, {}, out, positive_slope);
  Elementwise e(name, {x, number(0)}, x.dtype(), x.dtype(), out);
  kernels::binary(e.device, kernels::BinaryOp::Maximum, e.plan, 1);
  return e.finish();
}
NORCH_TWO_FORMS(relu)

static Tensor relu6_op(const char* name, const Tensor& x, const Tensor& out) { return limited(name, x, 0, 6, out); }
NORCH_TWO_FORMS(relu6)

Tensor hardtanh(const Tensor& x, const Scalar& min_val, const Scalar& max_val) {
  return limited("hardtanh", x, min_val, max_val, {});
}
Tensor hardtanh_(const Tensor& self, const Scalar& min_val, const Scalar& max_val) {
  InPlace write("hardtanh_", self);
  return write.finish(limited("hardtanh_", write.input(), min_val, max_val, write.output()));
}

static Tensor leaky_relu_op(const char* name, const Tensor& x, double slope, const Tensor& out) {
  return apply(name, "LeakyReluBackward0", Activation::LeakyRelu, x, {slope, 0, 0}, out, leaky_slope);
}
Tensor leaky_relu(const Tensor& x, double negative_slope) { return leaky_relu_op("leaky_relu", x, negative_slope, {}); }
Tensor leaky_relu_(const Tensor& self, double negative_slope) {
  InPlace write("leaky_relu_", self);
  return write.finish(leaky_relu_op("leaky_relu_", write.input(), negative_slope, write.output()));
}

static Tensor elu_op(const char* name, const char* node, const Tensor& x, double alpha, double scale,
                     double input_scale, const Tensor& out) {
  return apply(name, node, Activation::Elu, x, {alpha * scale, scale, input_scale}, out, elu_slope);
}
Tensor elu(const Tensor& x, double alpha, double scale, double input_scale) {
  return elu_op("elu", "EluBackward0", x, alpha, scale, input_scale, {});
}
Tensor elu_(const Tensor& self, double alpha, double scale, double input_scale) {
  InPlace write("elu_", self);
  return write.finish(elu_op("elu_", "EluBackward0", write.input(), alpha, scale, input_scale, write.output()));
}

static Tensor selu_op(const char* name, const Tensor& x, const Tensor& out) {
  return elu_op(name, "EluBackward0", x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1, out);
}
NORCH_TWO_FORMS(selu)

static Tensor celu_op(const char* name, const Tensor& x, double alpha, const Tensor& out) {
  NORCH_CHECK(alpha != 0, name, ": ZeroDivisionError: alpha cannot be 0 for CELU");
  return elu_op(name, "CeluBackward0", x, alpha, 1, 1 / alpha, out);
}
Tensor celu(const Tensor& x, double alpha) { return celu_op("celu", x, alpha, {}); }
Tensor celu_(const Tensor& self, double alpha) {
  InPlace write("celu_", self);
  return write.finish(celu_op("celu_", write.input(), alpha, write.output()));
}

static Tensor gelu_op(const char* name, const Tensor& x, std::string_view approximate, const Tensor& out) {
  NORCH_CHECK(approximate == "none" || approximate == "tanh", name,
              ": approximate argument must be either none or tanh.");
  if (approximate == "tanh") return apply(name, "GeluBackward0", Activation::GeluTanh, x, {}, out, gelu_tanh_slope);
  return apply(name, "GeluBackward0", Activation::Gelu, x, {}, out, gelu_slope);
}
Tensor gelu(const Tensor& x, std::string_view approximate) { return gelu_op("gelu", x, approximate, {}); }
Tensor gelu_(const Tensor& self, std::string_view approximate) {
  InPlace write("gelu_", self);
  return write.finish(gelu_op("gelu_", write.input(), approximate, write.output()));
}

#define NORCH_PLAIN_OP(name, Op)                                                      \
  static Tensor name##_op(const char* op_name, const Tensor& x, const Tensor& out) {  \
    return apply(op_name, #Op "Backward0", Activation::Op, x, {}, out, name##_slope); \
  }
static Tensor silu_op(const char* name, const Tensor& x, const Tensor& out) {
  if (x.is_complex() && !out.defined()) return x * sigmoid(x);
  return apply(name, "SiluBackward0", Activation::Silu, x, {}, out, silu_slope);
}
NORCH_TWO_FORMS(silu)
NORCH_PLAIN_OP(mish, Mish)
NORCH_TWO_FORMS(mish)
NORCH_PLAIN_OP(hardsigmoid, Hardsigmoid)
NORCH_TWO_FORMS(hardsigmoid)
NORCH_PLAIN_OP(hardswish, Hardswish)
NORCH_TWO_FORMS(hardswish)
NORCH_PLAIN_OP(logsigmoid, Logsigmoid)
Tensor logsigmoid(const Tensor& x) { return logsigmoid_op("logsigmoid", x, {}); }

Tensor softsign(const Tensor& x) {
  NORCH_CHECK_IMPLEMENTED(x.dtype() != DType::Bool, "softsign: not implemented for bool");
  if (x.is_complex()) return x / (abs(x) + 1.0);
  return apply("softsign", "SoftsignBackward0", Activation::Softsign, x.to(float_type(x.dtype())), {}, {},
               softsign_slope);
}
Tensor tanhshrink(const Tensor& x) {
  NORCH_CHECK(x.dtype() != DType::Bool, "tanhshrink: not supported for bool");
  if (x.is_complex()) return x - tanh(x);
  return apply("tanhshrink", "TanhshrinkBackward0", Activation::Tanhshrink, x.to(float_type(x.dtype())), {}, {},
               tanhshrink_slope);
}

Tensor softplus(const Tensor& x, double beta, double threshold) {
  NORCH_AUTOCAST(float32_cuda, softplus, x, beta, threshold);
  return apply("softplus", "SoftplusBackward0", Activation::Softplus, x, {beta, threshold, 0}, {}, softplus_slope);
}
Tensor hardshrink(const Tensor& x, double lambda) {
  return apply("hardshrink", "HardshrinkBackward0", Activation::Hardshrink, x, {lambda, 0, 0}, {}, shrink_slope);
}
Tensor softshrink(const Tensor& x, double lambda) {
  NORCH_CHECK(lambda >= 0, "softshrink: lambda must be greater or equal to 0, but found to be ", lambda);
  return apply("softshrink", "SoftshrinkBackward0", Activation::Softshrink, x, {lambda, 0, 0}, {}, shrink_slope);
}

static Tensor threshold_op(const char* name, const Tensor& x, const Scalar& limit, const Scalar& value,
                           const Tensor& out) {
  NORCH_CHECK_IMPLEMENTED(x.dtype() != DType::Bool, name, ": not implemented for bool");
  if (x.is_floating_point())
    return apply(name, "ThresholdBackward0", Activation::Threshold, x, {limit.to_double(), value.to_double(), 0}, out,
                 threshold_slope);
  // PyTorch converts both numbers to the integer dtype first.
  const Tensor at = Tensor::wrap(limit).to(x.dtype()), below = Tensor::wrap(value).to(x.dtype());
  const Tensor above = gt(x, at);
  Elementwise e(name, {above, x, below}, x.dtype(), x.dtype(), out, 0);
  kernels::select(e.device, e.plan);
  return e.finish();
}
Tensor threshold(const Tensor& x, const Scalar& threshold, const Scalar& value) {
  return threshold_op("threshold", x, threshold, value, {});
}
Tensor threshold_(const Tensor& self, const Scalar& threshold, const Scalar& value) {
  InPlace write("threshold_", self);
  return write.finish(threshold_op("threshold_", write.input(), threshold, value, write.output()));
}

Tensor sigmoid_backward(const Tensor& grad, const Tensor& y) {
  if (y.is_complex()) return grad * (y * (1.0 - y));
  return backward(Activation::SigmoidOfResult, grad, y, {}, sigmoid_slope);
}
Tensor tanh_backward(const Tensor& grad, const Tensor& y) {
  if (y.is_complex()) return grad * (1.0 - y * y);
  return backward(Activation::TanhOfResult, grad, y, {}, tanh_slope);
}

}  // namespace norch
