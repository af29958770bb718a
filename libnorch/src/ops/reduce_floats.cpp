// Reductions of floats: variance, norms, logsumexp.
#include <cmath>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "ops/autocast.h"
#include "ops/reduce_common.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::NormOp;

namespace {

Shape dim_list(const ReducedDims& d, int64_t ndim) {
  Shape dims;
  for (int64_t i = 0; i < ndim; ++i)
    if ((d.mask >> i) & 1) dims.push_back(i);
  return dims;
}

/// d var / dx = 2 (x - mean) / (n - correction).
Tensor var_gradient(const Tensor& g, const Tensor& x, const ReducedDims& d, double correction) {
  const double degrees = static_cast<double>(d.n) - correction;  // below zero too, as in PyTorch
  const Tensor centered = sub(x, x.dim() ? mean(x, dim_list(d, x.dim()), true) : x);
  return mul(with_ones(g, d), centered * Scalar(2 / degrees));
}

struct Moments {
  Tensor var, mean;
};

Moments moments_op(const char* op, const char* node, const Tensor& t, Ints dims, double correction, bool keepdim,
                   bool root, bool with_mean) {
  if (t.is_complex()) {
    // The mean square distance from the mean is that of both parts together.
    Tensor spread = add(var(real(t), dims, correction, keepdim), var(imag(t), dims, correction, keepdim));
    if (root) {  // the gradient of the root at 0 is 0, as for real numbers
      const Tensor none = eq(spread, Tensor::wrap(0));
      spread = masked_fill(sqrt(masked_fill(spread, none, Tensor::wrap(1))), none, Tensor::wrap(0));
    }
    return {spread, with_mean ? mean(t, dims, keepdim) : Tensor()};
  }
  NORCH_CHECK(t.is_floating_point(), op, "(): std and var only support floating point and complex dtypes, got ",
              t.dtype(), "; convert with .to(dtype)");
  const ReducedDims d = reduced_dims(op, t, dims, keepdim);
  Moments out{new_tensor(d.out, t.dtype(), t.device()),
              with_mean ? new_tensor(d.out, t.dtype(), t.device()) : Tensor()};
  kernels::MomentsArgs args;
  args.correction = d.n == 0 ? 0 : correction;  // of no elements: NaN, whatever the correction
  args.root = root;
  kernels::moments(t.device(), make_reduce_plan(t, d.mask), out.mean, out.var, args);
  if (with_mean && d.n == 1) copy_into(out.mean, reshape(t.detach(), d.out));  // deviations of an infinity are NaN
  if (recording(t)) {
    auto backward = [d, correction, root, from = Shape(t.sizes()), t = save(t), y = save_output(out.var)](Backward& ctx) {
      Tensor sum;
      if (ctx.grad(0).defined()) {
        Tensor g = ctx.grad(0);
        if (root) {
          // A deviation of 0 is a corner: its gradient is 0, as in PyTorch.
          const Tensor std = ctx.get(y);
          const Tensor none = eq(std.detach(), Tensor::wrap(0));
          g = masked_fill(div(g, masked_fill(std, none, Tensor::wrap(1)) * Scalar(2)), none, Tensor::wrap(0));
        }
        sum = var_gradient(g, ctx.get(t), d, correction);
      }
      if (ctx.num_grads() > 1 && ctx.grad(1).defined()) {
        const Tensor g = expand(with_ones(ctx.grad(1), d) * Scalar(1 / static_cast<double>(d.n)), from);
        sum = sum.defined() ? add(sum, g) : g;
      }
      ctx.set(0, sum);
    };
    if (with_mean)
      record(node, {t}, {out.var, out.mean}, std::move(backward));
    else
      record(node, {t}, {out.var}, std::move(backward));
  }
  return out;
}

/// Gradient of a p-norm: x |x|^(p-2) / norm^(p-1), and 0 where the norm has a corner at 0.
Tensor norm_gradient(const Tensor& g, const Tensor& x, const Tensor& norm, const ReducedDims& d, double p) {
  const Tensor zero = Tensor::wrap(0), n = with_ones(norm, d), grad = with_ones(g, d);
  if (p == 0) return mul(grad, x) * Scalar(0);
  if (p == 1) return mul(grad, sign(x));
  if (p == 2) {
    // The norm is replaced where it is 0 before the division, so that no second derivative is NaN there.
    const Tensor none = eq(n.detach(), zero);
    return mul(x, masked_fill(div(grad, masked_fill(n, none, Tensor::wrap(1))), none, zero));
  }
  if (std::isinf(p)) {
    const Tensor size = abs(x).detach();
    const Tensor mask = add(eq(size, n.detach()), ne(size, size));
    const Tensor count = x.dim() ? sum(mask, dim_list(d, x.dim()), true) : mask;
    return mul(mul(sign(x), mask), div(grad, count));
  }
  const Tensor size = abs(x);
  if (p < 2) {
    // |x|^(p-2) is infinite at 0, where the product with x is 0.
    const Tensor power = masked_fill(pow(size, Tensor::wrap(p - 1)), eq(size.detach(), zero), zero);
    const Tensor scale = masked_fill(div(grad, pow(n, Tensor::wrap(p - 1))), eq(n.detach(), zero), zero);
    return mul(mul(sign(x), power), scale);
  }
  const Tensor scale = masked_fill(div(grad, pow(n, Tensor::wrap(p - 1))), eq(n.detach(), zero), zero);
  return mul(mul(x, pow(size, Tensor::wrap(p - 2))), scale);
}

}  // namespace

Tensor var(const Tensor& t, Ints dims, double correction, bool keepdim) {
  return moments_op("var", "VarBackward0", t, dims, correction, keepdim, false, false).var;
}
Tensor std(const Tensor& t, Ints dims, double correction, bool keepdim) {
  return moments_op("std", "StdBackward0", t, dims, correction, keepdim, true, false).var;
}
std::pair<Tensor, Tensor> var_mean(const Tensor& t, Ints dims, double correction, bool keepdim) {
  const Moments m = moments_op("var_mean", "VarMeanBackward0", t, dims, correction, keepdim, false, true);
  return {m.var, m.mean};
}
std::pair<Tensor, Tensor> std_mean(const Tensor& t, Ints dims, double correction, bool keepdim) {
  const Moments m = moments_op("std_mean", "StdMeanBackward0", t, dims, correction, keepdim, true, true);
  return {m.var, m.mean};
}

Tensor vector_norm(const Tensor& t, const Scalar& p, Ints dims, bool keepdim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32_cuda);
  if (dtype && *dtype != t.dtype()) {
    NORCH_CHECK(is_differentiable(*dtype) && t.is_complex() <= is_complex(*dtype), "linalg.vector_norm: the dtype of the "
                "input ", t.dtype(), " should be convertible without narrowing to the specified dtype ", *dtype);
    return vector_norm(t.to(*dtype), p, dims, keepdim);
  }
  if (t.is_complex()) return vector_norm(abs(t), p, dims, keepdim);
  NORCH_CHECK(t.is_floating_point(), "linalg.vector_norm: Expected a floating point or complex tensor as input. Got ",
              t.dtype());
  const double order = p.to_double();
  const ReducedDims d = reduced_dims("linalg.vector_norm", t, dims, keepdim);
  NORCH_CHECK(d.n != 0 || !(std::isinf(order) || order < 0), "linalg.vector_norm cannot compute the ", p,
              " norm on an empty tensor because the operation does not have an identity");
  Tensor out = new_tensor(d.out, t.dtype(), t.device());
  const ReducePlan plan = make_reduce_plan(t, d.mask);
  kernels::ReduceArgs args;
  if (order == 0) {
    Tensor count = new_tensor(d.out, DType::Int64, t.device());
    kernels::reduce_any_all(t.device(), kernels::TestOp::CountNonzero, plan, count);
    copy_into(out, count);
  } else {
    const NormOp op = order == 1 ? NormOp::SumAbs : order == 2 ? NormOp::SumSquares
                      : std::isinf(order) ? (order > 0 ? NormOp::MaxAbs : NormOp::MinAbs) : NormOp::SumPow;
    args.p = order;
    if (!std::isinf(order)) args.root = order;
    kernels::reduce_norm(t.device(), op, plan, out, args);
  }
  if (recording(t)) {
    record("LinalgVectorNormBackward0", {t}, {out}, [d, order, t = save(t), y = save_output(out)](Backward& ctx) {
      ctx.set(0, norm_gradient(ctx.grad(), ctx.get(t), ctx.get(y), d, order));
    });
  }
  return out;
}

Tensor logsumexp(const Tensor& t, Ints dims, bool keepdim) {
  NORCH_AUTOCAST(float32_cuda, logsumexp, t, dims, keepdim);
  if (!is_differentiable(t.dtype())) return logsumexp(t.to(default_dtype()), dims, keepdim);
  const ReducedDims d = reduced_dims("logsumexp", t, dims, keepdim);
  if (t.is_complex()) {
    if (t.dim() == 0) return reshape(logsumexp(reshape(t, {1}), {0}), {});  // the angle comes into (-pi, pi], too
    const Shape list = dim_list(d, t.dim());
    if (t.numel() == 0) return log(sum(exp(t), list, keepdim));
    const Tensor high = amax(real(t.detach()), list, true);
    const Tensor shift = masked_fill(high, eq(abs(high), Tensor::wrap(HUGE_VAL)), Tensor::wrap(0));
    return log(sum(exp(t - shift), list, keepdim)) + (keepdim ? shift : reshape(shift, d.out));
  }
  Tensor out = new_tensor(d.out, t.dtype(), t.device());
  if (t.dim() == 0) {
    copy_into(out, t.detach());
  } else if (t.numel() == 0) {
    fill_(out, -HUGE_VAL);
  } else {
    // The reduced dims side by side, those before them outside.
    const Tensor x = t.detach();
    Shape order;
    kernels::SoftmaxShape s{1, d.n, 1};
    const Shape list = dim_list(d, t.dim());
    const bool neighbours = list.back() - list[0] == static_cast<int64_t>(list.size()) - 1;
    for (int64_t i = 0; i < t.dim(); ++i) {
      if ((d.mask >> i) & 1) continue;
      order.push_back(i);
      (neighbours && i > list.back() ? s.inner : s.outer) *= t.sizes()[i];
    }
    for (int64_t i : list) order.push_back(i);
    kernels::logsumexp(t.device(), s, out, (neighbours ? x : permute(x, order)).contiguous());
  }
  if (recording(t)) {
    record("LogsumexpBackward0", {t}, {out}, [d, t = save(t), y = save_output(out)](Backward& ctx) {
      const Tensor x = ctx.get(t);
      ctx.set(0, mul(with_ones(ctx.grad(), d), exp(sub(x, with_ones(ctx.get(y), d)))));
    });
  }
  return out;
}

}  // namespace norch
