// Functions of two numbers: atan2, hypot, copysign, nextafter, xlogy, maximum, fmax, logaddexp, ...
#include <cmath>

#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/binary_common.h"
#include "ops/dtype_views.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using autograd::saved_input;
using kernels::BinaryOp;

namespace {

Tensor zero() { return Tensor::wrap(0); }

/// A function of two numbers whose backward `gradient(ctx, g, a, b, y)` reads both operands and maybe the result.
template <class G>
Tensor function(const char* name, const char* node, BinaryOp op, const Tensor& a, const Tensor& b, DType type,
                const Tensor& out, bool keep_result, G gradient) {
  const bool keep = recording(a, b);
  const Tensor x = keep ? saved_input(a, out) : Tensor(), y = keep ? saved_input(b, out) : Tensor();
  Tensor result = run_binary(name, op, a, b, type, out);
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
  Tensor result = narrow ? next_of_16_bits(a, b, type) : run_binary(name, BinaryOp::Nextafter, a, b, type, out);
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

}  // namespace

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

}  // namespace norch
