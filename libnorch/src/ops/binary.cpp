#include "norch/ops/binary.h"

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/binary.h"
#include "norch/ops/copy.h"
#include "ops/operand.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using autograd::save;
using kernels::BinaryOp;

namespace {

/// Promotion as in PyTorch: tensors with dims outrank 0-d ones, which outrank numbers, unless of a lower category.
DType result_type(const Tensor& a, const Tensor& b) {
  auto rank = [](const Tensor& t) { return t.impl()->wrapped_number ? 0 : t.dim() == 0 ? 1 : 2; };
  auto category = [](DType t) { return t == DType::Bool ? 0 : is_integral(t) ? 1 : 2; };
  DType x = a.dtype(), y = b.dtype();
  if (a.impl()->wrapped_number && x == DType::Float64) x = default_dtype();
  if (b.impl()->wrapped_number && y == DType::Float64) y = default_dtype();
  if (x == y) return x;
  const int ra = rank(a), rb = rank(b);
  if (ra == rb) return promote_types(x, y);
  const DType high = ra > rb ? x : y, low = ra > rb ? y : x;
  return category(low) > category(high) ? low : high;
}

/// The common device; a 0-d CPU tensor goes where the other is.
Device common_device(const char* op, const Tensor& a, const Tensor& b) {
  if (a.device() == b.device()) return a.device();
  if (a.dim() == 0 && a.is_cpu()) return b.device();
  if (b.dim() == 0 && b.is_cpu()) return a.device();
  NORCH_RAISE(Error, op, ": Expected all tensors to be on the same device, but found at least two devices, ",
              a.device(), " and ", b.device(), "; move one with .to(device)");
}

/// Runs the kernel on operands cast to `compute`; writes into `out` if given.
Tensor run(const char* name, BinaryOp op, const Tensor& a, const Tensor& b, DType compute, const Scalar& alpha,
           Tensor out = {}) {
  const Device device = common_device(name, a, b);
  const DType type = kernels::is_comparison(op) ? DType::Bool : compute;
  autograd::NoGrad off;
  const Tensor x = as_operand(a, device, compute), y = as_operand(b, device, compute);
  if (!out.defined()) {
    out = a.sizes() == b.sizes() ? new_tensor(a.sizes(), type, device)
                                 : new_tensor(broadcast_shapes(a.sizes(), b.sizes(), name), type, device);
  } else {
    const Shape shape = broadcast_shapes(a.sizes(), b.sizes(), name);
    NORCH_CHECK(shape == out.sizes(), name, ": output with shape ", out.sizes(),
                " doesn't match the broadcast shape ", shape);
    NORCH_CHECK(can_cast(type, out.dtype()), name, ": result type ", type,
                " can't be cast to the desired output type ", out.dtype());
    if (out.dtype() != type) {
      copy_into(out, run(name, op, a, b, compute, alpha));
      return out;
    }
  }
  kernels::binary(device, op, make_plan({out}, {x, y}), alpha);
  return out;
}

Tensor add_op(const char* name, const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor out = {}) {
  out = run(name, BinaryOp::Add, a, b, result_type(a, b), alpha, out);
  if (recording(a, b)) {
    record("AddBackward0", {a, b}, {out}, [alpha](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, ctx.grad());
      if (ctx.needs(1)) ctx.set(1, alpha.to_double() == 1 ? ctx.grad() : ctx.grad() * alpha);
    });
  }
  return out;
}

Tensor sub_op(const char* name, const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor out = {}) {
  NORCH_CHECK(a.dtype() != DType::Bool && b.dtype() != DType::Bool, name, ": Subtraction, the `-` operator, with a ",
              "bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator.");
  out = run(name, BinaryOp::Sub, a, b, result_type(a, b), alpha, out);
  if (recording(a, b)) {
    record("SubBackward0", {a, b}, {out}, [alpha](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, ctx.grad());
      if (ctx.needs(1)) ctx.set(1, ctx.grad() * Scalar(-alpha.to_double()));
    });
  }
  return out;
}

Tensor mul_op(const char* name, const Tensor& a, const Tensor& b, Tensor out = {}) {
  out = run(name, BinaryOp::Mul, a, b, result_type(a, b), 1, out);
  if (recording(a, b)) {
    record("MulBackward0", {a, b}, {out}, [a = save(a), b = save(b)](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, mul(ctx.grad(), ctx.get(b)));
      if (ctx.needs(1)) ctx.set(1, mul(ctx.grad(), ctx.get(a)));
    });
  }
  return out;
}

Tensor div_op(const char* name, const Tensor& a, const Tensor& b, Tensor out = {}) {
  DType type = result_type(a, b);
  if (!is_floating_point(type)) type = default_dtype();
  out = run(name, BinaryOp::Div, a, b, type, 1, out);
  if (recording(a, b)) {
    record("DivBackward0", {a, b}, {out}, [a = save(a), b = save(b)](Backward& ctx) {
      const Tensor y = ctx.get(b);
      const Tensor ga = div(ctx.grad(), y);
      if (ctx.needs(0)) ctx.set(0, ga);
      if (ctx.needs(1)) ctx.set(1, mul(ga, div(ctx.get(a), y)) * Scalar(-1));
    });
  }
  return out;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha) { return add_op("add", a, b, alpha); }
Tensor sub(const Tensor& a, const Tensor& b, const Scalar& alpha) { return sub_op("sub", a, b, alpha); }
Tensor mul(const Tensor& a, const Tensor& b) { return mul_op("mul", a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return div_op("div", a, b); }

Tensor add_(const Tensor& self, const Tensor& b, const Scalar& alpha) {
  InPlace write("add_", self);
  return write.finish(add_op("add_", write.input(), b, alpha, write.output()));
}
Tensor sub_(const Tensor& self, const Tensor& b, const Scalar& alpha) {
  InPlace write("sub_", self);
  return write.finish(sub_op("sub_", write.input(), b, alpha, write.output()));
}
Tensor mul_(const Tensor& self, const Tensor& b) {
  InPlace write("mul_", self);
  return write.finish(mul_op("mul_", write.input(), b, write.output()));
}
Tensor div_(const Tensor& self, const Tensor& b) {
  InPlace write("div_", self);
  return write.finish(div_op("div_", write.input(), b, write.output()));
}

Tensor eq(const Tensor& a, const Tensor& b) { return run("eq", BinaryOp::Eq, a, b, result_type(a, b), 1); }
Tensor ne(const Tensor& a, const Tensor& b) { return run("ne", BinaryOp::Ne, a, b, result_type(a, b), 1); }

}  // namespace norch
