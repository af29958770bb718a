#include "norch/ops/unary.h"

#include <cmath>
#include <limits>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "kernels/complex.h"
#include "kernels/copy.h"
#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/ternary.h"
#include "ops/autocast.h"
#include "ops/dtype_views.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::record_linear;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using autograd::saved_input;
using kernels::Parameters;
using kernels::UnaryOp;

namespace {

/// The kernel of wide unsigned integers: that of the signed twin, where it gives the same bits.
void run_unsigned(const char* name, UnaryOp op, Device device, Plan& plan) {
  switch (op) {
    case UnaryOp::Neg:
    case UnaryOp::BitwiseNot:
    case UnaryOp::LogicalNot:
    case UnaryOp::IsNan:
    case UnaryOp::IsInf:
    case UnaryOp::IsFinite:
    case UnaryOp::IsPosInf:
    case UnaryOp::IsNegInf:
      for (int k = 0; k < plan.operands; ++k) plan.dtype[k] = signed_twin(plan.dtype[k]);
      return kernels::unary(device, op, plan, Parameters());
    case UnaryOp::Signbit: return kernels::fill(device, plan, 0);
    case UnaryOp::Abs: return kernels::copy(device, plan);
    default: NORCH_RAISE(NotImplementedError, name, ": not implemented for ", plan.dtype[1], "; convert to int64");
  }
}

Tensor run(const char* name, UnaryOp op, const Tensor& x, DType compute, const Tensor& out, const Parameters& p = {}) {
  const DType result = kernels::is_test(op) ? DType::Bool : compute;
  Elementwise e(name, {x}, compute, result, out);
  if (is_complex(compute))
    kernels::unary_complex(e.device, name, op, e.plan);
  else if (is_wide_unsigned(compute))
    run_unsigned(name, op, e.device, e.plan);
  else
    kernels::unary(e.device, op, e.plan, p);
  return e.finish();
}

// The gradient of a complex function f is g times the conjugate of f'(x). All functions here have
// conj(f'(x)) = f'(conj(x)), so the formulas below get conjugates of what was saved and hold for both kinds of number.

/// Records `gradient(g, conj(x))` as the backward of an op that read x.
template <class G>
Tensor from_input(const char* name, const char* node, UnaryOp op, const Tensor& x, DType compute, const Tensor& out,
                  const Parameters& p, G gradient) {
  const bool keep = recording(x);
  const Tensor saved = keep ? saved_input(x, out) : Tensor();
  Tensor result = run(name, op, x, compute, out, p);
  if (keep) {
    record(node, {x}, {result}, [x = save(saved), gradient](Backward& ctx) {
      ctx.set(0, gradient(ctx.grad(), conj(ctx.get(x))));
    });
  }
  return result;
}

/// Records `gradient(g, conj(y))` of the result y.
template <class G>
Tensor from_result(const char* name, const char* node, UnaryOp op, const Tensor& x, DType compute, const Tensor& out,
                   const Parameters& p, G gradient) {
  Tensor result = run(name, op, x, compute, out, p);
  if (recording(x)) {
    record(node, {x}, {result}, [y = save_output(result), gradient](Backward& ctx) {
      ctx.set(0, gradient(ctx.grad(), conj(ctx.get(y))));
    });
  }
  return result;
}

/// Records a backward that needs the gradient only.
template <class G>
Tensor from_gradient(const char* name, const char* node, UnaryOp op, const Tensor& x, DType compute, const Tensor& out,
                     const Parameters& p, G gradient) {
  Tensor result = run(name, op, x, compute, out, p);
  if (recording(x))
    record_linear(node, {x}, {result}, [gradient](Backward& ctx) { ctx.set(0, gradient(ctx.grad())); });
  return result;
}

Tensor no_gradient(const Tensor& g) { return zeros_like(g); }

const double kLn2 = std::log(2.0), kLn10 = std::log(10.0);
const double kPi = 3.14159265358979323846;
const double kTwoOverSqrtPi = 2 / std::sqrt(kPi);

/// The square root of a complex product is that of the factors only up to the sign.
Tensor acosh_gradient(const Tensor& g, const Tensor& x) {
  return x.is_complex() ? g * (rsqrt(x - 1.0) * rsqrt(x + 1.0)) : g * rsqrt(x * x - 1.0);
}

/// The conjugate is taken last, as it decides on which side of the cut of a root a number lies.
Tensor asinh_gradient(const Tensor& g, const Tensor& x) {
  const Tensor y = conj(x);
  return g * conj(rsqrt(y * y + 1.0));
}

/// (y cos(y) - sin(y)) / y^2 for y = pi x, times pi. Where y is small that cancels, and the power series is right.
Tensor sinc_gradient(const Tensor& g, const Tensor& x) {
  const Tensor y = x * kPi, small = lt(abs(y.detach()), Tensor::wrap(0.1)), square = y * y;
  const Tensor series = y * (square * (square * (square * (1.0 / 45360) - 1.0 / 840) + 1.0 / 30) - 1.0 / 3);
  const Tensor far = masked_fill(y, small, Tensor::wrap(1)), direct = (cos(far) * far - sin(far)) / (far * far);
  return g * (where(small, series, direct) * kPi);
}

}  // namespace

// name(x) and name_(self) from name_op(op_name, x, out).
#define NORCH_TWO_FORMS(name)                                                 \
  Tensor name(const Tensor& x) { return name##_op(#name, x, {}); }            \
  Tensor name##_(const Tensor& self) {                                        \
    InPlace write(#name "_", self);                                           \
    return write.finish(name##_op(#name "_", write.input(), write.output())); \
  }

// The same for an op that autocasting computes in float32 on CUDA.
#define NORCH_TWO_FORMS_FLOAT32(name)                                         \
  Tensor name(const Tensor& x) {                                              \
    NORCH_AUTOCAST(float32_cuda, name, x);                                    \
    return name##_op(#name, x, {});                                           \
  }                                                                           \
  Tensor name##_(const Tensor& self) {                                        \
    InPlace write(#name "_", self);                                           \
    return write.finish(name##_op(#name "_", write.input(), write.output())); \
  }

// An op of the default float dtype for integers. `kind` says what the gradient is made of; its expression may use g
// and x (from_input), g and y (from_result) or g (from_gradient).
#define NORCH_FLOAT_BODY(name, Op, kind, lambda)                                                             \
  static Tensor name##_op(const char* op_name, const Tensor& x, const Tensor& out) {                         \
    return kind(op_name, #Op "Backward0", UnaryOp::Op, x, float_type(x.dtype()), out, Parameters(), lambda); \
  }
#define NORCH_FLOAT_OP(name, Op, kind, lambda) \
  NORCH_FLOAT_BODY(name, Op, kind, lambda)     \
  NORCH_TWO_FORMS(name)
#define NORCH_FLOAT32_OP(name, Op, kind, lambda) \
  NORCH_FLOAT_BODY(name, Op, kind, lambda)       \
  NORCH_TWO_FORMS_FLOAT32(name)
#define NORCH_OF_INPUT(...) [](const Tensor& g, const Tensor& x) { return __VA_ARGS__; }
#define NORCH_OF_RESULT(...) [](const Tensor& g, const Tensor& y) { return __VA_ARGS__; }

NORCH_FLOAT32_OP(acos, Acos, from_input, NORCH_OF_INPUT(g * neg(rsqrt(1.0 - x * x))))
NORCH_FLOAT_OP(acosh, Acosh, from_input, acosh_gradient)
NORCH_FLOAT32_OP(asin, Asin, from_input, NORCH_OF_INPUT(g * rsqrt(1.0 - x * x)))
NORCH_FLOAT_OP(asinh, Asinh, from_input, asinh_gradient)
NORCH_FLOAT_OP(atan, Atan, from_input, NORCH_OF_INPUT(g / (x * x + 1.0)))
NORCH_FLOAT_OP(atanh, Atanh, from_input, NORCH_OF_INPUT(g / (1.0 - x * x)))
NORCH_FLOAT_OP(cos, Cos, from_input, NORCH_OF_INPUT(g * neg(sin(x))))
NORCH_FLOAT32_OP(cosh, Cosh, from_input, NORCH_OF_INPUT(g * sinh(x)))
NORCH_FLOAT_OP(digamma, Digamma, from_input, NORCH_OF_INPUT(g * polygamma(1, x)))
NORCH_FLOAT_OP(erf, Erf, from_input, NORCH_OF_INPUT(exp(neg(x * x)) * kTwoOverSqrtPi * g))
NORCH_FLOAT_OP(erfc, Erfc, from_input, NORCH_OF_INPUT(exp(neg(x * x)) * -kTwoOverSqrtPi * g))
NORCH_FLOAT32_OP(erfinv, Erfinv, from_result, NORCH_OF_RESULT(exp(y * y) * (1 / kTwoOverSqrtPi) * g))
NORCH_FLOAT32_OP(exp, Exp, from_result, NORCH_OF_RESULT(g * y))
NORCH_FLOAT_OP(exp2, Exp2, from_result, NORCH_OF_RESULT(g * y * kLn2))
NORCH_FLOAT32_OP(expm1, Expm1, from_result, NORCH_OF_RESULT(g * (y + 1.0)))
NORCH_FLOAT_OP(lgamma, Lgamma, from_input, NORCH_OF_INPUT(g * digamma(x)))
NORCH_FLOAT32_OP(log, Log, from_input, NORCH_OF_INPUT(g / x))
NORCH_FLOAT32_OP(log10, Log10, from_input, NORCH_OF_INPUT(g / (x * kLn10)))
NORCH_FLOAT32_OP(log1p, Log1p, from_input, NORCH_OF_INPUT(g / (x + 1.0)))
NORCH_FLOAT32_OP(log2, Log2, from_input, NORCH_OF_INPUT(g / (x * kLn2)))
NORCH_FLOAT32_OP(reciprocal, Reciprocal, from_result, NORCH_OF_RESULT(neg(g) * (y * y)))
NORCH_FLOAT32_OP(rsqrt, Rsqrt, from_result, NORCH_OF_RESULT(g * -0.5 * (y * y * y)))
NORCH_FLOAT_OP(sigmoid, Sigmoid, from_result, NORCH_OF_RESULT(sigmoid_backward(g, y)))
NORCH_FLOAT_OP(sin, Sin, from_input, NORCH_OF_INPUT(g * cos(x)))
NORCH_FLOAT_OP(sinc, Sinc, from_input, sinc_gradient)
NORCH_FLOAT32_OP(sinh, Sinh, from_input, NORCH_OF_INPUT(g * cosh(x)))
NORCH_FLOAT_OP(sqrt, Sqrt, from_result, NORCH_OF_RESULT(g / (y * 2.0)))
NORCH_FLOAT32_OP(tan, Tan, from_result, NORCH_OF_RESULT(g * (y * y + 1.0)))
NORCH_FLOAT_OP(tanh, Tanh, from_result, NORCH_OF_RESULT(tanh_backward(g, y)))

Tensor deg2rad(const Tensor& x) { return mul(x, Tensor::wrap(kPi / 180)); }
Tensor deg2rad_(const Tensor& self) { return mul_(self, Tensor::wrap(kPi / 180)); }
Tensor rad2deg(const Tensor& x) { return mul(x, Tensor::wrap(180 / kPi)); }
Tensor rad2deg_(const Tensor& self) { return mul_(self, Tensor::wrap(180 / kPi)); }

static Tensor logit_op(const char* name, const Tensor& x, std::optional<double> eps, const Tensor& out) {
  if (eps && *eps < 0) eps = std::nullopt;  // as PyTorch has it
  return from_input(name, "LogitBackward0", UnaryOp::Logit, x, float_type(x.dtype()), out, {eps.value_or(-1), 0, 0},
                    [eps](const Tensor& g, const Tensor& x) {
                      const double low = eps.value_or(0), high = 1 - low;
                      const Tensor outside = logical_or(lt(x, Tensor::wrap(low)), gt(x, Tensor::wrap(high)));
                      const double there = eps ? 0.0 : std::numeric_limits<double>::quiet_NaN();
                      return masked_fill(g / (x * (1.0 - x)), outside, Tensor::wrap(there));
                    });
}
Tensor logit(const Tensor& x, std::optional<double> eps) { return logit_op("logit", x, eps, {}); }
Tensor logit_(const Tensor& self, std::optional<double> eps) {
  InPlace write("logit_", self);
  return write.finish(logit_op("logit_", write.input(), eps, write.output()));
}

static Tensor polygamma_op(const char* name, int64_t n, const Tensor& x, const Tensor& out) {
  NORCH_CHECK(n >= 0, name, ": n must not be negative, got ", n);
  NORCH_CHECK(n <= 1000, name, ": n must not exceed 1000, got ", n);
  return from_input(name, "PolygammaBackward0", UnaryOp::Polygamma, x, float_type(x.dtype()), out,
                    {static_cast<double>(n), 0, 0},
                    [n](const Tensor& g, const Tensor& x) { return g * polygamma(n + 1, x); });
}
Tensor polygamma(int64_t n, const Tensor& x) { return polygamma_op("polygamma", n, x, {}); }
Tensor polygamma_(const Tensor& self, int64_t n) {
  InPlace write("polygamma_", self);
  return write.finish(polygamma_op("polygamma_", n, write.input(), write.output()));
}

// ---- same dtype

static Tensor abs_op(const char* name, const Tensor& x, const Tensor& out) {
  if (x.is_complex()) {
    NORCH_CHECK(!out.defined(), name, ": In-place abs is not supported for complex tensors.");
    const Tensor values = x.detach();
    const Tensor size = hypot(real(values), imag(values));
    if (recording(x))
      record("AbsBackward0", {x}, {size}, [x = save(x)](Backward& ctx) { ctx.set(0, ctx.grad() * sgn(ctx.get(x))); });
    return size;
  }
  return from_input(name, "AbsBackward0", UnaryOp::Abs, x, x.dtype(), out, {}, NORCH_OF_INPUT(g * sign(x)));
}
NORCH_TWO_FORMS(abs)

static Tensor neg_op(const char* name, const Tensor& x, const Tensor& out) {
  NORCH_CHECK(x.dtype() != DType::Bool, name, ": Negation, the `-` operator, on a bool tensor is not supported. If ",
              "you are trying to invert a mask, use the `~` or `logical_not()` operator instead.");
  return from_gradient(name, "NegBackward0", UnaryOp::Neg, x, x.dtype(), out, {},
                       [](const Tensor& g) { return neg(g); });
}
NORCH_TWO_FORMS(neg)

static Tensor sign_op(const char* name, const Tensor& x, const Tensor& out) {
  NORCH_CHECK_IMPLEMENTED(!x.is_complex(), name, ": Unlike NumPy, sign doesn't allow complex numbers; use sgn");
  if (x.dtype() == DType::Bool) return out.defined() ? out : x.clone();
  if (is_wide_unsigned(x.dtype())) {
    const Tensor result = ne(x, Tensor::wrap(0)).to(x.dtype());
    return out.defined() ? (copy_into(out, result), out) : result;
  }
  return from_gradient(name, "SignBackward0", UnaryOp::Sign, x, x.dtype(), out, {}, no_gradient);
}
NORCH_TWO_FORMS(sign)

Tensor square(const Tensor& x) { return pow(x, Tensor::wrap(2)); }
Tensor square_(const Tensor& self) { return pow_(self, Tensor::wrap(2)); }

/// Ops that leave integers as they are.
static Tensor rounding(const char* name, const char* node, UnaryOp op, const Tensor& x, const Tensor& out,
                       const Parameters& p = {}) {
  NORCH_CHECK_IMPLEMENTED(x.dtype() != DType::Bool, name, ": not implemented for bool");
  NORCH_CHECK_IMPLEMENTED(!x.is_complex(), name, " is not supported for complex inputs; take .real or .imag");
  if (!x.is_floating_point()) return out.defined() ? out : x.clone();
  return from_gradient(name, node, op, x, x.dtype(), out, p, no_gradient);
}
static Tensor ceil_op(const char* name, const Tensor& x, const Tensor& out) {
  return rounding(name, "CeilBackward0", UnaryOp::Ceil, x, out);
}
NORCH_TWO_FORMS(ceil)
static Tensor floor_op(const char* name, const Tensor& x, const Tensor& out) {
  return rounding(name, "FloorBackward0", UnaryOp::Floor, x, out);
}
NORCH_TWO_FORMS(floor)
static Tensor trunc_op(const char* name, const Tensor& x, const Tensor& out) {
  return rounding(name, "TruncBackward0", UnaryOp::Trunc, x, out);
}
NORCH_TWO_FORMS(trunc)

static Tensor round_op(const char* name, const Tensor& x, int64_t decimals, const Tensor& out) {
  if (decimals == 0) return rounding(name, "RoundBackward0", UnaryOp::Round, x, out);
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), name, ": decimals is not implemented for ", x.dtype());
  return rounding(name, "RoundBackward1", UnaryOp::RoundDecimals, x, out, {static_cast<double>(decimals), 0, 0});
}
Tensor round(const Tensor& x, int64_t decimals) { return round_op("round", x, decimals, {}); }
Tensor round_(const Tensor& self, int64_t decimals) {
  InPlace write("round_", self);
  return write.finish(round_op("round_", write.input(), decimals, write.output()));
}

static Tensor frac_op(const char* name, const Tensor& x, const Tensor& out) {
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), name, ": not implemented for ", x.dtype());
  return from_gradient(name, "FracBackward0", UnaryOp::Frac, x, x.dtype(), out, {}, [](const Tensor& g) { return g; });
}
NORCH_TWO_FORMS(frac)

static Tensor bitwise_not_op(const char* name, const Tensor& x, const Tensor& out) {
  return run(name, UnaryOp::BitwiseNot, x, x.dtype(), out);
}
NORCH_TWO_FORMS(bitwise_not)

Tensor positive(const Tensor& x) {
  NORCH_CHECK(x.dtype() != DType::Bool, "positive: The `+` operator, on a bool tensor is not supported.");
  return x;
}

static double largest(DType t) {
  switch (t) {
    case DType::Float16: return 65504;
    case DType::BFloat16: return 3.38953138925153547590e38;
    case DType::Float32: return std::numeric_limits<float>::max();
    default: return std::numeric_limits<double>::max();
  }
}

static Tensor nan_to_num_op(const char* name, const Tensor& x, std::optional<double> nan, std::optional<double> posinf,
                            std::optional<double> neginf, const Tensor& out) {
  if (x.is_complex())
    return complex(nan_to_num_op(name, real(x), nan, posinf, neginf, {}), nan_to_num_op(name, imag(x), nan, posinf, neginf, {}));
  if (!x.is_floating_point()) return out.defined() ? out : x.clone();
  const double end = largest(x.dtype());
  return from_input(name, "NanToNumBackward0", UnaryOp::NanToNum, x, x.dtype(), out,
                    {nan.value_or(0), posinf.value_or(end), neginf.value_or(-end)},
                    NORCH_OF_INPUT(g * isfinite(x)));
}
Tensor nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> posinf,
                  std::optional<double> neginf) {
  return nan_to_num_op("nan_to_num", x, nan, posinf, neginf, {});
}
Tensor nan_to_num_(const Tensor& self, std::optional<double> nan, std::optional<double> posinf,
                   std::optional<double> neginf) {
  InPlace write("nan_to_num_", self);
  return write.finish(nan_to_num_op("nan_to_num_", write.input(), nan, posinf, neginf, write.output()));
}

// ---- tests

#define NORCH_TEST_OP(name, Op) \
  Tensor name(const Tensor& x) { return run(#name, UnaryOp::Op, x, x.dtype(), {}); }
NORCH_TEST_OP(isnan, IsNan)
NORCH_TEST_OP(isinf, IsInf)
NORCH_TEST_OP(isfinite, IsFinite)
NORCH_TEST_OP(isposinf, IsPosInf)
NORCH_TEST_OP(isneginf, IsNegInf)
NORCH_TEST_OP(signbit, Signbit)
NORCH_TEST_OP(logical_not, LogicalNot)

Tensor logical_not_(const Tensor& self) {
  InPlace write("logical_not_", self);
  return write.finish(logical_not(write.input().detach()));
}

}  // namespace norch
