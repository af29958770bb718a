// pow and float_power.
#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "core/fits.h"
#include "kernels/complex.h"
#include "kernels/unsigned.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "ops/autocast.h"
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
using kernels::UnaryOp;

namespace {

/// Whether an operand is a constant whose value can be read without waiting for a device.
bool is_constant(const Tensor& t) { return t.dim() == 0 && t.is_cpu() && !wants_grad(t); }

/// Whether such a constant has no imaginary part.
bool is_real(const Tensor& t) { return !t.is_complex() || t.item().to_complex().im == 0; }

void run(const char* name, BinaryOp op, Elementwise& e, DType type) {
  if (is_complex(type))
    kernels::binary_complex(e.device, name, op, e.plan, 1);
  else if (is_wide_unsigned(type))
    kernels::binary_unsigned(e.device, name, op, e.plan);
  else
    kernels::binary(e.device, op, e.plan, 1);
}

/// The forward. Exponents that have a cheaper exact form take it.
Tensor forward(const char* name, const Tensor& a, const Tensor& b, DType type, const Tensor& out) {
  if (is_constant(b) && is_real(b)) {
    const double exponent = b.item().to_complex().re;
    if (is_differentiable(type)) {
      // The exponent takes part in promotion, but not in the kernel.
      if (exponent == 2) {
        Elementwise e(name, {a, a}, type, type, out);
        run(name, BinaryOp::Mul, e, type);
        return e.finish();
      }
      if (exponent == 3 || exponent == 0.5 || exponent == -0.5 || exponent == -1) {
        Elementwise e(name, {a}, type, type, out);
        const UnaryOp op = exponent == 3     ? UnaryOp::Cube
                           : exponent == 0.5 ? UnaryOp::Sqrt
                           : exponent == -1  ? UnaryOp::Reciprocal
                                             : UnaryOp::Rsqrt;
        if (is_complex(type))
          kernels::unary_complex(e.device, name, op, e.plan);
        else
          kernels::unary(e.device, op, e.plan, kernels::Parameters());
        return e.finish();
      }
    } else if (b.is_wrapped_number()) {
      NORCH_CHECK(exponent >= 0, name, ": Integers to negative integer powers are not allowed.");
      check_fits(b.item(), type);
    }
  }
  Elementwise e(name, {a, b}, type, type, out);
  run(name, BinaryOp::Pow, e, type);
  return e.finish();
}

/// g * b * a^(b - 1), 0 where b == 0.
Tensor base_gradient(const Tensor& g, const Tensor& a, const Tensor& b) {
  if (is_constant(b) && is_real(b)) {
    const double exponent = b.item().to_complex().re;
    if (exponent == 0) return zeros_like(g);
    return g * conj(pow(a, Tensor::wrap(exponent - 1)) * exponent);
  }
  const Tensor slope = conj(b * pow(a, b - 1));
  return g * masked_fill(slope, eq(b, Tensor::wrap(0)), Tensor::wrap(0));
}

/// g * y * log(a), 0 where a == 0 and b (its real part) >= 0.
Tensor exponent_gradient(const Tensor& g, const Tensor& a, const Tensor& b, const Tensor& y) {
  const Tensor flat = logical_and(eq(a, Tensor::wrap(0)), ge(real(b), Tensor::wrap(0)));
  // log of 1 there: its own gradient would otherwise be infinite times zero.
  const Tensor base = is_differentiable(a.dtype()) ? masked_fill(a, flat, Tensor::wrap(1)) : a.to(g.dtype());
  const Tensor slope = conj(y * log(y.is_complex() ? base.to(y.dtype()) : base));
  return g * masked_fill(slope, flat, Tensor::wrap(0));
}

Tensor power(const char* name, const Tensor& a, const Tensor& b, DType type, const Tensor& out) {
  NORCH_CHECK_IMPLEMENTED(type != DType::Bool, name, ": not implemented for bool");
  if (!recording(a, b)) return forward(name, a, b, type, out);
  const bool for_b = wants_grad(b);
  const Tensor x = saved_input(a, out), y = saved_input(b, out);
  Tensor result = forward(name, a, b, type, out);
  record(is_constant(b) ? "PowBackward0" : is_constant(a) ? "PowBackward2" : "PowBackward1", {a, b}, {result},
         [a = save(x), b = save(y), r = save_output(for_b ? result : Tensor())](Backward& ctx) {
           const Tensor base = ctx.get(a), exponent = ctx.get(b);
           if (ctx.needs(0)) ctx.set(0, base_gradient(ctx.grad(), base, exponent));
           if (ctx.needs(1)) ctx.set(1, exponent_gradient(ctx.grad(), base, exponent, ctx.get(r)));
         });
  return result;
}

}  // namespace

Tensor pow(const Tensor& a, const Tensor& b) {
  NORCH_AUTOCAST(float32_cuda, pow, a, b);
  return power("pow", a, b, result_type(a, b), {});
}
Tensor pow_(const Tensor& self, const Tensor& b) {
  InPlace write("pow_", self);
  return write.finish(power("pow_", write.input(), b, result_type(write.input(), b), write.output()));
}
Tensor float_power(const Tensor& a, const Tensor& b) {
  const DType type = a.is_complex() || b.is_complex() ? DType::Complex128 : DType::Float64;
  return power("float_power", a.to(type), b.to(type), type, {});
}
Tensor float_power_(const Tensor& self, const Tensor& b) {
  const DType type = self.is_complex() || b.is_complex() ? DType::Complex128 : DType::Float64;
  NORCH_CHECK(self.dtype() == type, "float_power_: the base given to float_power_ has dtype ", self.dtype(),
              " but the operation's result requires dtype ", type);
  return pow_(self, b.to(type));
}

}  // namespace norch
