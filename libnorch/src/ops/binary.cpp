#include "norch/ops/binary.h"

#include <cmath>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "kernels/complex.h"
#include "kernels/unsigned.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/dtype_views.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using autograd::saved_input;
using autograd::wants_grad;
using kernels::BinaryOp;

namespace {

Tensor zero() { return Tensor::wrap(0); }

/// The kernel of wide unsigned integers: most ops have that of the signed twin.
void run_unsigned(const char* name, BinaryOp op, Elementwise& e, const Scalar& alpha, const Tensor& b) {
  switch (op) {
    case BinaryOp::Add:
    case BinaryOp::Sub:
    case BinaryOp::Mul:
    case BinaryOp::BitwiseAnd:
    case BinaryOp::BitwiseOr:
    case BinaryOp::BitwiseXor:
    case BinaryOp::Eq:
    case BinaryOp::Ne:
    case BinaryOp::LogicalAnd:
    case BinaryOp::LogicalOr:
    case BinaryOp::LogicalXor:
      for (int k = 0; k < e.plan.operands; ++k) e.plan.dtype[k] = signed_twin(e.plan.dtype[k]);
      return kernels::binary(e.device, op, e.plan, alpha);
    case BinaryOp::DivFloor:
    case BinaryOp::DivTrunc:
    case BinaryOp::Remainder:
    case BinaryOp::Fmod:
      NORCH_CHECK(!b.is_cpu() || all(ne(b, zero())).item<bool>(), name,
                  ": ZeroDivisionError: an integer tensor is divided by zero");
      break;
    default: break;
  }
  kernels::binary_unsigned(e.device, name, op, e.plan);
}

/// Which operands stay float32 if they are numbers beside 16-bit floats (bit i: operand i). As in PyTorch's CPU kernels
/// those are factors and divisors, of 0-d tensors only the second operand.
uint32_t wide_numbers(BinaryOp op, const Tensor& a, const Tensor& b) {
  if (a.is_cuda() || b.is_cuda()) return 0;
  switch (op) {
    case BinaryOp::Mul: return a.impl()->wrapped_number ? 3 : 2;
    case BinaryOp::Div:
    case BinaryOp::DivFloor:
    case BinaryOp::DivTrunc: return 2;
    default: return 0;
  }
}

Tensor run(const char* name, BinaryOp op, const Tensor& a, const Tensor& b, DType compute, const Tensor& out,
           const Scalar& alpha = 1) {
  Elementwise e(name, {a, b}, compute, kernels::is_comparison(op) ? DType::Bool : compute, out, -1,
                wide_numbers(op, a, b));
  if (is_complex(compute))
    kernels::binary_complex(e.device, name, op, e.plan, alpha);
  else if (is_wide_unsigned(compute))
    run_unsigned(name, op, e, alpha, b);
  else
    kernels::binary(e.device, op, e.plan, alpha);
  return e.finish();
}

void check_alpha(const char* name, DType type, const Scalar& alpha) {
  NORCH_CHECK(!alpha.is_bool() || type == DType::Bool, name, ": Boolean alpha only supported for Boolean results.");
  NORCH_CHECK(is_differentiable(type) || !alpha.is_floating_point(), name,
              ": For integral input tensors, argument alpha must not be a floating point number.");
  NORCH_CHECK(is_complex(type) || !alpha.is_complex(), name,
              ": For non-complex input tensors, argument alpha must not be a complex number.");
}

/// g times the conjugate of a number, which mostly is 1.
Tensor scaled(const Tensor& g, const Scalar& alpha) { return equals(alpha, 1) ? g : g * conj(alpha); }

Tensor add_op(const char* name, const Tensor& a, const Tensor& b, const Scalar& alpha, const Tensor& out) {
  const DType type = result_type(a, b);
  check_alpha(name, type, alpha);
  Tensor result = run(name, BinaryOp::Add, a, b, type, out, alpha);
  if (recording(a, b)) {
    record("AddBackward0", {a, b}, {result}, [alpha](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, ctx.grad());
      if (ctx.needs(1)) ctx.set(1, scaled(ctx.grad(), alpha));
    });
  }
  return result;
}

Tensor sub_op(const char* name, const Tensor& a, const Tensor& b, const Scalar& alpha, const Tensor& out) {
  NORCH_CHECK(a.dtype() != DType::Bool || b.dtype() != DType::Bool, name, ": Subtraction, the `-` operator, with two "
              "bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.");
  NORCH_CHECK(a.dtype() != DType::Bool && b.dtype() != DType::Bool, name, ": Subtraction, the `-` operator, with a ",
              "bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` "
              "operator instead.");
  const DType type = result_type(a, b);
  check_alpha(name, type, alpha);
  Tensor result = run(name, BinaryOp::Sub, a, b, type, out, alpha);
  if (recording(a, b)) {
    record(a.impl()->wrapped_number ? "RsubBackward1" : "SubBackward0", {a, b}, {result}, [alpha](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, ctx.grad());
      if (ctx.needs(1)) ctx.set(1, neg(scaled(ctx.grad(), alpha)));
    });
  }
  return result;
}

Tensor mul_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (!recording(a, b)) return run(name, BinaryOp::Mul, a, b, result_type(a, b), out);
  const bool for_a = wants_grad(a), for_b = wants_grad(b);
  const Tensor x = for_b ? saved_input(a, out) : Tensor(), y = for_a ? saved_input(b, out) : Tensor();
  Tensor result = run(name, BinaryOp::Mul, a, b, result_type(a, b), out);
  record("MulBackward0", {a, b}, {result}, [a = save(x), b = save(y)](Backward& ctx) {
    if (ctx.needs(0)) ctx.set(0, mul(ctx.grad(), conj(ctx.get(b))));
    if (ctx.needs(1)) ctx.set(1, mul(ctx.grad(), conj(ctx.get(a))));
  });
  return result;
}

/// A number divided by a tensor: PyTorch multiplies the reciprocal by it, which rounds twice.
Tensor divided_number(const Tensor& number, const Tensor& b) {
  const Tensor inverse = reciprocal(b);
  return equals(number.item(), 1) ? inverse : mul(inverse, number);
}

Tensor true_divide(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (a.impl()->wrapped_number && !b.impl()->wrapped_number && !out.defined()) return divided_number(a, b);
  const DType type = float_type(result_type(a, b));
  if (!recording(a, b)) return run(name, BinaryOp::Div, a, b, type, out);
  const Tensor x = wants_grad(b) ? saved_input(a, out) : Tensor(), y = saved_input(b, out);
  Tensor result = run(name, BinaryOp::Div, a, b, type, out);
  record("DivBackward0", {a, b}, {result}, [a = save(x), b = save(y)](Backward& ctx) {
    const Tensor y = conj(ctx.get(b));
    const Tensor g = div(ctx.grad(), y);
    if (ctx.needs(0)) ctx.set(0, g);
    if (ctx.needs(1)) ctx.set(1, neg(mul(g, div(conj(ctx.get(a)), y))));
  });
  return result;
}

/// Records that both gradients are zero: the result is piecewise constant.
void record_zeros(const char* node, const Tensor& a, const Tensor& b, const Tensor& result) {
  if (!recording(a, b)) return;
  record(node, {a, b}, {result}, [](Backward& ctx) {
    if (ctx.needs(0)) ctx.set(0, zeros_like(ctx.grad()));
    if (ctx.needs(1)) ctx.set(1, zeros_like(ctx.grad()));
  });
}

Tensor div_op(const char* name, const Tensor& a, const Tensor& b, std::optional<std::string_view> mode,
              const Tensor& out) {
  if (!mode) return true_divide(name, a, b, out);
  NORCH_CHECK(*mode == "trunc" || *mode == "floor", "div expected rounding_mode to be one of None, 'trunc', or 'floor' "
              "but found '", std::string(*mode), "'");
  Tensor result = run(name, *mode == "trunc" ? BinaryOp::DivTrunc : BinaryOp::DivFloor, a, b, result_type(a, b), out);
  record_zeros("DivBackward1", a, b, result);
  return result;
}

Tensor floor_divide_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return run(name, BinaryOp::DivFloor, a, b, result_type(a, b), out);
}

/// remainder and fmod: d/da = 1, d/db = -(a / b rounded).
Tensor modulo(const char* name, const char* node, BinaryOp op, const char* mode, const Tensor& a, const Tensor& b,
              const Tensor& out) {
  const bool keep = recording(a, b), for_b = keep && wants_grad(b);
  const Tensor x = for_b ? saved_input(a, out) : Tensor(), y = for_b ? saved_input(b, out) : Tensor();
  Tensor result = run(name, op, a, b, result_type(a, b), out);
  if (keep) {
    record(node, {a, b}, {result}, [a = save(x), b = save(y), mode](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, ctx.grad());
      if (ctx.needs(1)) ctx.set(1, neg(ctx.grad() * div(ctx.get(a), ctx.get(b), mode)));
    });
  }
  return result;
}
Tensor remainder_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return modulo(name, "RemainderBackward0", BinaryOp::Remainder, "floor", a, b, out);
}
Tensor fmod_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return modulo(name, "FmodBackward0", BinaryOp::Fmod, "trunc", a, b, out);
}

/// A function of two numbers whose backward `gradient(ctx, g, a, b, y)` reads both operands and maybe the result.
template <class G>
Tensor function(const char* name, const char* node, BinaryOp op, const Tensor& a, const Tensor& b, DType type,
                const Tensor& out, bool keep_result, G gradient) {
  const bool keep = recording(a, b);
  const Tensor x = keep ? saved_input(a, out) : Tensor(), y = keep ? saved_input(b, out) : Tensor();
  Tensor result = run(name, op, a, b, type, out);
  if (keep) {
    record(node, {a, b}, {result},
           [a = save(x), b = save(y), r = save_output(keep_result ? result : Tensor()), gradient](Backward& ctx) {
             gradient(ctx, ctx.grad(), ctx.get(a), ctx.get(b), ctx.get(r));
           });
  }
  return result;
}

#define NORCH_GRADIENTS                                                                                   \
  [](Backward & ctx, const Tensor& g, [[maybe_unused]] const Tensor& a, [[maybe_unused]] const Tensor& b, \
     [[maybe_unused]] const Tensor& y)

Tensor atan2_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return function(name, "Atan2Backward0", BinaryOp::Atan2, a, b, float_type(result_type(a, b)), out, false,
                  NORCH_GRADIENTS {
                    const Tensor norm = a * a + b * b;
                    const Tensor scale = g * masked_fill(reciprocal(norm), eq(norm, zero()), zero());
                    if (ctx.needs(0)) ctx.set(0, scale * b);
                    if (ctx.needs(1)) ctx.set(1, neg(scale * a));
                  });
}

Tensor hypot_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return function(name, "HypotBackward0", BinaryOp::Hypot, a, b, result_type(a, b), out, true, NORCH_GRADIENTS {
    if (ctx.needs(0)) ctx.set(0, g * (a / y));
    if (ctx.needs(1)) ctx.set(1, g * (b / y));
  });
}

Tensor copysign_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return function(name, "CopysignBackward0", BinaryOp::Copysign, a, b, float_type(result_type(a, b)), out, true,
                  NORCH_GRADIENTS {
                    if (ctx.needs(0)) ctx.set(0, g * masked_fill(y.detach() / a.detach(), eq(a, zero()), zero()));
                    if (ctx.needs(1)) ctx.set(1, zeros_like(g));
                  });
}

/// nextafter of 16-bit floats: the kernels compute these in float32, whose neighbours are others. The bits of numbers of
/// one sign are in order, as integers.
Tensor next_of_16_bits(const Tensor& a, const Tensor& b, DType type) {
  const Device device = common_device("nextafter", {a, b});
  TensorList pair = broadcast_tensors({a.detach().to(device, type), b.detach().to(device, type)});
  const Tensor x = pair[0].contiguous(), y = pair[1].contiguous();
  const Tensor outwards = eq(gt(y, x), gt(x, zero()));
  const Tensor one = Tensor::wrap(1);
  const Tensor stepped = view_dtype(add(view_dtype(x, DType::Int16), where(outwards, one, neg(one)).to(DType::Int16)), type);
  // From zero to the smallest number of y's sign.
  const Tensor smallest = copysign(view_dtype(ones(x.sizes(), TensorOptions(DType::Int16).device(device)), type), y);
  const Tensor moved = where(eq(x, zero()), smallest, stepped);
  return where(eq(x, y), y, where(logical_or(isnan(x), isnan(y)), add(x, y), moved));
}

Tensor nextafter_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  const DType type = result_type(a, b);
  NORCH_CHECK_IMPLEMENTED(is_floating_point(type), name, ": not implemented for ", type);
  const bool narrow = itemsize(type) < 4;
  Tensor result = narrow ? next_of_16_bits(a, b, type) : run(name, BinaryOp::Nextafter, a, b, type, out);
  if (recording(a, b)) {
    // The step is tiny: a passes through (but where it equals b, as in PyTorch), b only says where to.
    record("NextafterBackward0", {a, b}, {result}, [apart = save(ne(a.detach(), b.detach()))](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, mul(ctx.grad(), ctx.get(apart)));
      if (ctx.needs(1)) ctx.set(1, zeros_like(ctx.grad()));
    });
  }
  return result;
}

Tensor xlogy_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return function(name, "XlogyBackward0", BinaryOp::Xlogy, a, b, float_type(result_type(a, b)), out, false,
                  NORCH_GRADIENTS {
                    if (ctx.needs(0)) {
                      const Tensor cut = logical_and(eq(a, zero()), le(b, zero()));
                      ctx.set(0, masked_fill(xlogy(g, b), cut, zero()));
                    }
                    if (ctx.needs(1)) ctx.set(1, g * a / b);
                  });
}

template <class G>
Tensor extreme(const char* name, const char* node, BinaryOp op, const Tensor& a, const Tensor& b, G b_wins) {
  return function(name, node, op, a, b, result_type(a, b), {}, false,
                  [b_wins](Backward& ctx, const Tensor& g, const Tensor& a, const Tensor& b, const Tensor&) {
                    const Tensor shared = where(eq(a, b), g * 0.5, g);
                    if (ctx.needs(0)) ctx.set(0, masked_fill(shared, b_wins(a, b), zero()));
                    if (ctx.needs(1)) ctx.set(1, masked_fill(shared, b_wins(b, a), zero()));
                  });
}

template <class G>
Tensor number_extreme(const char* name, const char* node, BinaryOp op, const Tensor& a, const Tensor& b, G a_wins) {
  return function(name, node, op, a, b, result_type(a, b), {}, false,
                  [a_wins](Backward& ctx, const Tensor& g, const Tensor& a, const Tensor& b, const Tensor&) {
                    const Tensor to_a = logical_or(a_wins(a, b), isnan(b));
                    if (ctx.needs(0)) ctx.set(0, masked_fill(g, logical_not(to_a), zero()));
                    if (ctx.needs(1)) ctx.set(1, masked_fill(g, to_a, zero()));
                  });
}

// ---- comparisons, logic, bits

/// Stores a result of another dtype into self, whose old value gets no gradient.
Tensor overwrite(InPlace& write, const char* node, const Tensor& result) {
  const Tensor& out = write.output();
  NORCH_CHECK(result.sizes() == out.sizes(), "output with shape ", out.sizes(), " doesn't match the broadcast shape ",
              result.sizes());
  copy_into(out, result);
  if (recording(write.input()))
    record(node, {write.input()}, {out}, [](Backward& ctx) { ctx.set(0, zeros_like(ctx.grad())); });
  return write.finish(out);
}

Tensor bits(const char* name, BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  const DType type = result_type(a, b);
  NORCH_CHECK_IMPLEMENTED(is_integral(type, true), name, ": not implemented for ", type,
                          "; convert to an integer dtype");
  const bool shift = op == BinaryOp::LeftShift || op == BinaryOp::RightShift;
  NORCH_CHECK_IMPLEMENTED(!shift || type != DType::Bool, name, ": not implemented for bool");
  return run(name, op, a, b, type, out);
}

}  // namespace

// name(a, b) and name_(self, b) from name_op(op_name, a, b, out).
#define NORCH_TWO_FORMS(name)                                                          \
  Tensor name(const Tensor& a, const Tensor& b) { return name##_op(#name, a, b, {}); } \
  Tensor name##_(const Tensor& self, const Tensor& b) {                                \
    InPlace write(#name "_", self);                                                    \
    return write.finish(name##_op(#name "_", write.input(), b, write.output()));       \
  }

Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha) { return add_op("add", a, b, alpha, {}); }
Tensor add_(const Tensor& self, const Tensor& b, const Scalar& alpha) {
  InPlace write("add_", self);
  return write.finish(add_op("add_", write.input(), b, alpha, write.output()));
}
Tensor sub(const Tensor& a, const Tensor& b, const Scalar& alpha) { return sub_op("sub", a, b, alpha, {}); }
Tensor sub_(const Tensor& self, const Tensor& b, const Scalar& alpha) {
  InPlace write("sub_", self);
  return write.finish(sub_op("sub_", write.input(), b, alpha, write.output()));
}
Tensor rsub(const Tensor& a, const Tensor& b, const Scalar& alpha) { return sub_op("rsub", b, a, alpha, {}); }
Tensor div(const Tensor& a, const Tensor& b, std::optional<std::string_view> mode) {
  return div_op("div", a, b, mode, {});
}
Tensor div_(const Tensor& self, const Tensor& b, std::optional<std::string_view> mode) {
  InPlace write("div_", self);
  return write.finish(div_op("div_", write.input(), b, mode, write.output()));
}
NORCH_TWO_FORMS(mul)
NORCH_TWO_FORMS(floor_divide)
NORCH_TWO_FORMS(remainder)
NORCH_TWO_FORMS(fmod)
NORCH_TWO_FORMS(atan2)
NORCH_TWO_FORMS(hypot)
NORCH_TWO_FORMS(copysign)
NORCH_TWO_FORMS(nextafter)
NORCH_TWO_FORMS(xlogy)

Tensor maximum(const Tensor& a, const Tensor& b) {
  return extreme("maximum", "MaximumBackward0", BinaryOp::Maximum, a, b, lt);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return extreme("minimum", "MinimumBackward0", BinaryOp::Minimum, a, b, gt);
}
Tensor fmax(const Tensor& a, const Tensor& b) {
  return number_extreme("fmax", "FmaxBackward0", BinaryOp::Fmax, a, b, ge);
}
Tensor fmin(const Tensor& a, const Tensor& b) {
  return number_extreme("fmin", "FminBackward0", BinaryOp::Fmin, a, b, le);
}

/// log(exp(a) + exp(b)) of complex numbers, by their larger real part.
static Tensor complex_logaddexp(const Tensor& a, const Tensor& b) {
  const Tensor re_a = real(a.detach()), re_b = real(b.detach()), first = ge(re_a, re_b);
  const Tensor high = where(first, a, b), low = where(first, b, a);
  // Two equal infinities have no difference: -inf for two that are negative.
  const Tensor infinite = logical_and(eq(re_a, re_b), isinf(re_a)), none = logical_and(infinite, lt(re_a, zero()));
  const Tensor apart = where(infinite, ones_like(low), low - high);
  const auto there = [&](const Tensor& t) { return exp(where(infinite, t, zeros_like(t))); };  // no overflow elsewhere
  return where(none, low, where(infinite, log(there(a) + there(b)), high + log1p(exp(apart))));
}

Tensor logaddexp(const Tensor& a, const Tensor& b) {
  const DType type = result_type(a, b);
  if (is_complex(type)) return complex_logaddexp(a.to(type), b.to(type));
  return function("logaddexp", "LogaddexpBackward0", BinaryOp::Logaddexp, a, b, type, {}, false,
                  NORCH_GRADIENTS {
                    if (ctx.needs(0)) ctx.set(0, g * sigmoid(a - b));
                    if (ctx.needs(1)) ctx.set(1, g * sigmoid(b - a));
                  });
}
Tensor logaddexp2(const Tensor& a, const Tensor& b) {
  return function("logaddexp2", "Logaddexp2Backward0", BinaryOp::Logaddexp2, a, b, result_type(a, b), {}, false,
                  NORCH_GRADIENTS {
                    if (ctx.needs(0)) ctx.set(0, g * sigmoid((a - b) * std::log(2.0)));
                    if (ctx.needs(1)) ctx.set(1, g * sigmoid((b - a) * std::log(2.0)));
                  });
}

#define NORCH_COMPARISON_OP(name, Op, Node)                                                                       \
  Tensor name(const Tensor& a, const Tensor& b) { return run(#name, BinaryOp::Op, a, b, result_type(a, b), {}); } \
  Tensor name##_(const Tensor& self, const Tensor& b) {                                                           \
    InPlace write(#name "_", self);                                                                               \
    return overwrite(write, Node, name(write.input(), b));                                                        \
  }
NORCH_COMPARISON_OP(eq, Eq, "EqBackward0")
NORCH_COMPARISON_OP(ne, Ne, "NeBackward0")
NORCH_COMPARISON_OP(lt, Lt, "LtBackward0")
NORCH_COMPARISON_OP(le, Le, "LeBackward0")
NORCH_COMPARISON_OP(gt, Gt, "GtBackward0")
NORCH_COMPARISON_OP(ge, Ge, "GeBackward0")
NORCH_COMPARISON_OP(logical_and, LogicalAnd, "LogicalAndBackward0")
NORCH_COMPARISON_OP(logical_or, LogicalOr, "LogicalOrBackward0")
NORCH_COMPARISON_OP(logical_xor, LogicalXor, "LogicalXorBackward0")

#define NORCH_BITS_OP(name, Op)                                                                       \
  static Tensor name##_op(const char* op_name, const Tensor& a, const Tensor& b, const Tensor& out) { \
    return bits(op_name, BinaryOp::Op, a, b, out);                                                    \
  }                                                                                                   \
  NORCH_TWO_FORMS(name)
NORCH_BITS_OP(bitwise_and, BitwiseAnd)
NORCH_BITS_OP(bitwise_or, BitwiseOr)
NORCH_BITS_OP(bitwise_xor, BitwiseXor)
NORCH_BITS_OP(bitwise_left_shift, LeftShift)
NORCH_BITS_OP(bitwise_right_shift, RightShift)

}  // namespace norch
