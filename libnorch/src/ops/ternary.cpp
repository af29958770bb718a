#include "norch/ops/ternary.h"

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "core/fits.h"
#include "kernels/binary.h"
#include "kernels/ternary.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
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
using autograd::saved_input;
using autograd::wants_grad;
using kernels::BinaryOp;
using kernels::TernaryOp;

namespace {

Tensor zero() { return Tensor::wrap(0); }

Tensor run(const char* name, TernaryOp op, const Tensor& a, const Tensor& b, const Tensor& c, DType type,
           const Tensor& out, const Scalar& value = 1) {
  if (is_complex(type) || is_wide_unsigned(type)) {
    // No fused kernel: of single ops, as the formula reads.
    const Tensor x = a.detach().to(type), y = b.detach().to(type), z = c.detach().to(type);
    const Tensor result = op == TernaryOp::Clamp     ? minimum(maximum(x, y), z)
                          : op == TernaryOp::Lerp    ? x + z * (y - x)
                          : op == TernaryOp::Addcdiv ? x + y * value / z
                                                     : x + y * value * z;
    return out.defined() ? (copy_into(out, result), out) : result;
  }
  // A weight that is a number stays float32 beside 16-bit floats.
  Elementwise e(name, {a, b, c}, type, type, out, -1, op == TernaryOp::Lerp ? 4 : 0);
  kernels::ternary(e.device, op, e.plan, value);
  return e.finish();
}

Tensor select(const char* name, const Tensor& condition, const Tensor& a, const Tensor& b, DType type,
              const Tensor& out) {
  check_fits(a, type);
  check_fits(b, type);
  Elementwise e(name, {condition, a, b}, type, type, out, 0);
  kernels::select(e.device, e.plan);
  return e.finish();
}

// ---- clamp

/// Gradients of one limit: `within` tells where x keeps to it, `beyond` where it does not. A NaN does neither.
template <class Compare>
void record_limit(const char* node, const Tensor& x, const Tensor& limit, const Tensor& saved_x,
                  const Tensor& saved_limit, const Tensor& result, Compare within, Compare beyond) {
  record(node, {x, limit}, {result}, [x = save(saved_x), l = save(saved_limit), within, beyond](Backward& ctx) {
    if (ctx.needs(0)) ctx.set(0, where(within(ctx.get(x), ctx.get(l)), ctx.grad(), zero()));
    if (ctx.needs(1)) ctx.set(1, where(beyond(ctx.get(x), ctx.get(l)), ctx.grad(), zero()));
  });
}

Tensor clamp_one(const char* name, const char* node, const Tensor& x, const Tensor& limit, bool is_min,
                 const Tensor& out) {
  const DType type = result_type(x, limit);
  NORCH_CHECK_IMPLEMENTED(type != DType::Bool || !limit.is_wrapped_number(), name,
                          ": not implemented for bool and a number");
  const bool keep = recording(x, limit);
  const Tensor saved_x = keep ? saved_input(x, out) : Tensor(), saved_limit = keep ? saved_input(limit, out) : Tensor();
  if (is_wide_unsigned(type) || is_complex(type)) {
    const Tensor result = is_min ? maximum(x, limit) : minimum(x, limit);
    return out.defined() ? (copy_into(out, result), out) : result;
  }
  Elementwise e(name, {x, limit}, type, type, out);
  kernels::binary(e.device, is_min ? BinaryOp::Maximum : BinaryOp::Minimum, e.plan, 1);
  Tensor result = e.finish();
  if (keep && is_min) record_limit(node, x, limit, saved_x, saved_limit, result, ge, lt);
  if (keep && !is_min) record_limit(node, x, limit, saved_x, saved_limit, result, le, gt);
  return result;
}

Tensor clamp_op(const char* name, const Tensor& x, const Tensor& min, const Tensor& max, const Tensor& out) {
  NORCH_CHECK(min.defined() || max.defined(), name, ": At least one of 'min' or 'max' must not be None");
  const auto node = [](const Tensor& limit) {
    return limit.is_wrapped_number() ? "ClampBackward1" : "ClampBackward0";
  };
  if (!max.defined()) return clamp_one(name, node(min), x, min, true, out);
  if (!min.defined()) return clamp_one(name, node(max), x, max, false, out);
  const DType type = result_type({x, min, max});
  NORCH_CHECK_IMPLEMENTED(type != DType::Bool, name, ": not implemented for bool");
  const bool keep = recording(x, min, max);
  const Tensor saved_x = keep ? saved_input(x, out) : Tensor(), saved_min = keep ? saved_input(min, out) : Tensor(),
               saved_max = keep ? saved_input(max, out) : Tensor();
  Tensor result = run(name, TernaryOp::Clamp, x, min, max, type, out);
  if (keep) {
    record("ClampBackward1", {x, min, max}, {result},
           [x = save(saved_x), lo = save(saved_min), hi = save(saved_max)](Backward& ctx) {
             const Tensor v = ctx.get(x), low = ctx.get(lo), high = ctx.get(hi);
             const Tensor below = lt(v, low), above = gt(v, high), crossed = gt(low, high), apart = lt(low, high);
             const Tensor& g = ctx.grad();
             if (ctx.needs(0)) ctx.set(0, where(logical_and(ge(v, low), le(v, high)), g, zero()));
             if (ctx.needs(1))
               ctx.set(1, masked_fill(g, logical_not(logical_and(below, apart)), zero()));
             if (ctx.needs(2)) ctx.set(2, masked_fill(g, logical_not(logical_or(above, crossed)), zero()));
           });
  }
  return result;
}

Tensor clamp_min_op(const char* name, const Tensor& x, const Tensor& min, const Tensor& out) {
  return clamp_one(name, "ClampMinBackward0", x, min, true, out);
}
Tensor clamp_max_op(const char* name, const Tensor& x, const Tensor& max, const Tensor& out) {
  return clamp_one(name, "ClampMaxBackward0", x, max, false, out);
}

// ---- masked_fill

Tensor masked_fill_op(const char* name, const Tensor& x, const Tensor& mask, const Tensor& value, const Tensor& out) {
  NORCH_CHECK(mask.dtype() == DType::Bool, name, ": masked_fill_ only supports boolean masks, but got mask with dtype ",
              mask.dtype());
  NORCH_CHECK(value.dim() == 0, name, ": masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ",
              value.dim(), " dimension(s).");
  // In PyTorch a new result is row-major, however x and the mask lie. One number of the CPU may stand beside a mask on a GPU.
  const Device device = x.dim() == 0 && x.device().is_cpu() ? mask.device() : x.device();
  const Tensor fresh = out.defined() ? out : new_tensor(broadcast_shapes(x.sizes(), mask.sizes(), name), x.dtype(), device);
  Tensor result = select(name, mask, value, x, x.dtype(), fresh);
  if (recording(x, value)) {
    record("MaskedFillBackward0", {x, value}, {result}, [mask = save(mask)](Backward& ctx) {
      const Tensor m = ctx.get(mask);
      if (ctx.needs(0)) ctx.set(0, masked_fill(ctx.grad(), m, zero()));
      if (ctx.needs(1)) ctx.set(1, masked_fill(ctx.grad(), logical_not(m), zero()));
    });
  }
  return result;
}

// ---- fused arithmetic

Tensor lerp_op(const char* name, const Tensor& start, const Tensor& end, const Tensor& weight, const Tensor& out) {
  const DType type = start.dtype();
  NORCH_CHECK_IMPLEMENTED(is_differentiable(type), name, ": not implemented for ", type);
  NORCH_CHECK(end.dtype() == type, name, ": expected dtype ", type, " for `end` but got dtype ", end.dtype());
  NORCH_CHECK(weight.is_wrapped_number() || weight.dtype() == type, name, ": expected dtype ", type,
              " for `weight` but got dtype ", weight.dtype());
  const bool keep = recording(start, end, weight), for_weight = keep && wants_grad(weight);
  const Tensor s = for_weight ? saved_input(start, out) : Tensor(), f = for_weight ? saved_input(end, out) : Tensor(),
               w = keep ? saved_input(weight, out) : Tensor();
  Tensor result = run(name, TernaryOp::Lerp, start, end, weight, type, out);
  if (keep) {
    record("LerpBackward0", {start, end, weight}, {result},
           [start = save(s), end = save(f), weight = save(w)](Backward& ctx) {
             const Tensor &g = ctx.grad(), w = conj(ctx.get(weight));
             if (ctx.needs(0)) ctx.set(0, g * (1.0 - w));
             if (ctx.needs(1)) ctx.set(1, g * w);
             if (ctx.needs(2)) ctx.set(2, g * conj(ctx.get(end) - ctx.get(start)));
           });
  }
  return result;
}

Tensor addcmul_op(const char* name, const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value,
                  const Tensor& out) {
  const DType type = result_type({x, a, b});
  NORCH_CHECK_IMPLEMENTED(type != DType::Bool, name, ": not implemented for bool");
  const bool keep = recording(x, a, b);
  const Tensor s = keep && wants_grad(b) ? saved_input(a, out) : Tensor(),
               t = keep && wants_grad(a) ? saved_input(b, out) : Tensor();
  Tensor result = run(name, TernaryOp::Addcmul, x, a, b, type, out, value);
  if (keep) {
    record("AddcmulBackward0", {x, a, b}, {result}, [a = save(s), b = save(t), value](Backward& ctx) {
      const Tensor& g = ctx.grad();
      if (ctx.needs(0)) ctx.set(0, g);
      if (ctx.needs(1)) ctx.set(1, g * conj(ctx.get(b) * value));
      if (ctx.needs(2)) ctx.set(2, g * conj(ctx.get(a) * value));
    });
  }
  return result;
}

Tensor addcdiv_op(const char* name, const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value,
                  const Tensor& out) {
  NORCH_CHECK(is_differentiable(a.dtype()) || is_differentiable(b.dtype()), name,
              ": Integer division with addcdiv is no longer supported; use x + value * div(a, b, rounding_mode='trunc') "
              "for that, or convert to a floating-point dtype");
  const DType type = result_type({x, a, b});
  const bool keep = recording(x, a, b);
  const Tensor s = keep && wants_grad(b) ? saved_input(a, out) : Tensor(), t = keep ? saved_input(b, out) : Tensor();
  Tensor result = run(name, TernaryOp::Addcdiv, x, a, b, type, out, value);
  if (keep) {
    record("AddcdivBackward0", {x, a, b}, {result}, [a = save(s), b = save(t), value](Backward& ctx) {
      const Tensor& g = ctx.grad();
      if (ctx.needs(0)) ctx.set(0, g);
      if (!ctx.needs(1) && !ctx.needs(2)) return;
      const Tensor y = conj(ctx.get(b));
      if (ctx.needs(1)) ctx.set(1, g * (conj(value) / y));
      if (ctx.needs(2)) ctx.set(2, neg(g * (conj(value) * conj(ctx.get(a)) / y / y)));
    });
  }
  return result;
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  NORCH_CHECK(condition.dtype() == DType::Bool || condition.dtype() == DType::UInt8,
              "where expected condition to be a boolean tensor, but got a tensor with dtype ", condition.dtype());
  Tensor result = select("where", condition, a, b, result_type(a, b), {});
  if (recording(a, b)) {
    record("WhereBackward0", {a, b}, {result}, [condition = save(condition)](Backward& ctx) {
      const Tensor c = ctx.get(condition);
      if (ctx.needs(0)) ctx.set(0, where(c, ctx.grad(), zero()));
      if (ctx.needs(1)) ctx.set(1, where(c, zero(), ctx.grad()));
    });
  }
  return result;
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  return masked_fill_op("masked_fill", x, mask, value, {});
}
Tensor masked_fill_(const Tensor& self, const Tensor& mask, const Tensor& value) {
  InPlace write("masked_fill_", self);
  return write.finish(masked_fill_op("masked_fill_", write.input(), mask, value, write.output()));
}

Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max) { return clamp_op("clamp", x, min, max, {}); }
Tensor clamp_(const Tensor& self, const Tensor& min, const Tensor& max) {
  InPlace write("clamp_", self);
  return write.finish(clamp_op("clamp_", write.input(), min, max, write.output()));
}
Tensor clamp_min(const Tensor& x, const Tensor& min) { return clamp_min_op("clamp_min", x, min, {}); }
Tensor clamp_min_(const Tensor& self, const Tensor& min) {
  InPlace write("clamp_min_", self);
  return write.finish(clamp_min_op("clamp_min_", write.input(), min, write.output()));
}
Tensor clamp_max(const Tensor& x, const Tensor& max) { return clamp_max_op("clamp_max", x, max, {}); }
Tensor clamp_max_(const Tensor& self, const Tensor& max) {
  InPlace write("clamp_max_", self);
  return write.finish(clamp_max_op("clamp_max_", write.input(), max, write.output()));
}

Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  return lerp_op("lerp", start, end, weight, {});
}
Tensor lerp_(const Tensor& self, const Tensor& end, const Tensor& weight) {
  InPlace write("lerp_", self);
  return write.finish(lerp_op("lerp_", write.input(), end, weight, write.output()));
}
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value) {
  NORCH_AUTOCAST(widest_cuda, addcmul, x, a, b, value);
  return addcmul_op("addcmul", x, a, b, value, {});
}
Tensor addcmul_(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& value) {
  InPlace write("addcmul_", self);
  return write.finish(addcmul_op("addcmul_", write.input(), a, b, value, write.output()));
}
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value) {
  NORCH_AUTOCAST(widest_cuda, addcdiv, x, a, b, value);
  return addcdiv_op("addcdiv", x, a, b, value, {});
}
Tensor addcdiv_(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& value) {
  InPlace write("addcdiv_", self);
  return write.finish(addcdiv_op("addcdiv_", write.input(), a, b, value, write.output()));
}

}  // namespace norch
