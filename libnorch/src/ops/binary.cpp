#include "norch/ops/binary.h"

#include "autograd/record_linear.h"
#include "kernels/complex.h"
#include "kernels/unsigned.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/unary.h"
#include "ops/binary_common.h"
#include "ops/dtype_views.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::record_linear;
using autograd::recording;
using autograd::save;
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

/// Which operands stay float32 if they are numbers beside 16-bit floats (bit i: operand i). As in PyTorch those are
/// factors and divisors, on the GPU terms of sums too; of 0-d tensors on the CPU only the second operand.
uint32_t wide_numbers(BinaryOp op, const Tensor& a, const Tensor& b) {
  const bool cuda = a.is_cuda() || b.is_cuda();
  const uint32_t second = 2, either = 3;
  switch (op) {
    case BinaryOp::Add:
    case BinaryOp::Sub: return cuda ? either : 0;
    case BinaryOp::Mul: return cuda || a.is_wrapped_number() ? either : second;
    case BinaryOp::Div:
    case BinaryOp::DivFloor:
    case BinaryOp::DivTrunc: return second;
    default: return 0;
  }
}

/// The operand of a sum that the kernel itself widens, instead of a cast before it: the 16-bit float beside a float32 on
/// the GPU, as on a residual path under autocasting. -1 if there is none.
int operand_to_widen(BinaryOp op, const Tensor& a, const Tensor& b, DType compute, const Scalar& alpha) {
  if (op != BinaryOp::Add || compute != DType::Float32 || a.dtype() == b.dtype() || !equals(alpha, 1)) return -1;
  const int narrow = a.dtype() == DType::Float32 ? 1 : 0;
  const Tensor &x = narrow ? b : a, &wide = narrow ? a : b;
  const bool fits = x.is_cuda() && wide.is_cuda() && wide.dtype() == DType::Float32 && x.itemsize() == 2 &&
                    x.is_floating_point();
  return fits ? narrow : -1;
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
  Tensor result = run_binary(name, BinaryOp::Add, a, b, type, out, alpha);
  if (recording(a, b)) {
    record_linear("AddBackward0", {a, b}, {result}, [alpha](Backward& ctx) {
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
  Tensor result = run_binary(name, BinaryOp::Sub, a, b, type, out, alpha);
  if (recording(a, b)) {
    record_linear(a.is_wrapped_number() ? "RsubBackward1" : "SubBackward0", {a, b}, {result}, [alpha](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, ctx.grad());
      if (ctx.needs(1)) ctx.set(1, neg(scaled(ctx.grad(), alpha)));
    });
  }
  return result;
}

Tensor mul_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (!recording(a, b)) return run_binary(name, BinaryOp::Mul, a, b, result_type(a, b), out);
  const bool for_a = wants_grad(a), for_b = wants_grad(b);
  const Tensor x = for_b ? saved_input(a, out) : Tensor(), y = for_a ? saved_input(b, out) : Tensor();
  Tensor result = run_binary(name, BinaryOp::Mul, a, b, result_type(a, b), out);
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
  if (a.is_wrapped_number() && !b.is_wrapped_number() && !out.defined()) return divided_number(a, b);
  const DType type = float_type(result_type(a, b));
  if (!recording(a, b)) return run_binary(name, BinaryOp::Div, a, b, type, out);
  const Tensor x = wants_grad(b) ? saved_input(a, out) : Tensor(), y = saved_input(b, out);
  Tensor result = run_binary(name, BinaryOp::Div, a, b, type, out);
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
  Tensor result = run_binary(name, *mode == "trunc" ? BinaryOp::DivTrunc : BinaryOp::DivFloor, a, b, result_type(a, b), out);
  record_zeros("DivBackward1", a, b, result);
  return result;
}

Tensor floor_divide_op(const char* name, const Tensor& a, const Tensor& b, const Tensor& out) {
  return run_binary(name, BinaryOp::DivFloor, a, b, result_type(a, b), out);
}

/// remainder and fmod: d/da = 1, d/db = -(a / b rounded).
Tensor modulo(const char* name, const char* node, BinaryOp op, const char* mode, const Tensor& a, const Tensor& b,
              const Tensor& out) {
  const bool keep = recording(a, b), for_b = keep && wants_grad(b);
  const Tensor x = for_b ? saved_input(a, out) : Tensor(), y = for_b ? saved_input(b, out) : Tensor();
  Tensor result = run_binary(name, op, a, b, result_type(a, b), out);
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

}  // namespace

Tensor run_binary(const char* name, BinaryOp op, const Tensor& a, const Tensor& b, DType compute, const Tensor& out,
                  const Scalar& alpha) {
  Elementwise e(name, {a, b}, compute, kernels::is_comparison(op) ? DType::Bool : compute, out,
                operand_to_widen(op, a, b, compute, alpha), wide_numbers(op, a, b));
  if (is_complex(compute))
    kernels::binary_complex(e.device, name, op, e.plan, alpha);
  else if (is_wide_unsigned(compute))
    run_unsigned(name, op, e, alpha, b);
  else
    kernels::binary(e.device, op, e.plan, alpha);
  return e.finish();
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

}  // namespace norch
