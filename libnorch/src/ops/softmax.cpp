#include "norch/ops/softmax.h"

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/softmax.h"
#include "norch/ops/binary.h"
#include "norch/ops/reduce.h"
#include "norch/ops/unary.h"
#include "ops/along_dim.h"
#include "ops/autocast.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::SoftmaxShape;

namespace {

SoftmaxShape softmax_shape(const Tensor& t, int64_t dim) {
  const DimSplit s(t, dim);
  return {s.outer, s.n, s.inner};
}

Tensor backward_op(bool log, const Tensor& g, const Tensor& y, int64_t dim) {
  const char* op = log ? "log_softmax_backward" : "softmax_backward";
  NORCH_CHECK(g.sizes() == y.sizes() && g.device() == y.device(), op, ": expected a gradient like the result ", y,
              ", got ", g);
  dim = wrap_dim(dim, y.dim(), op);
  Tensor out = new_tensor(y.sizes(), y.dtype(), y.device());
  if (y.numel())
    kernels::softmax_backward(y.device(), log, softmax_shape(y, dim), out, g.detach().to(y.dtype()).contiguous(),
                              y.detach().contiguous());
  return out;
}

Tensor forward_op(bool log, const Tensor& t, int64_t dim, std::optional<DType> dtype) {
  if (dtype && *dtype != t.dtype()) return forward_op(log, t.to(*dtype), dim, {});
  const char* op = log ? "log_softmax" : "softmax";
  dim = wrap_dim(dim, t.dim(), op);
  NORCH_CHECK_IMPLEMENTED(t.is_floating_point(), op, ": not implemented for ", t.dtype(),
                          "; pass a floating-point dtype=");
  Tensor out = new_tensor(t.sizes(), t.dtype(), t.device());
  if (t.numel()) kernels::softmax(t.device(), log, softmax_shape(t, dim), out, t.detach().contiguous());
  if (recording(t)) {
    record(log ? "LogSoftmaxBackward0" : "SoftmaxBackward0", {t}, {out},
           [log, dim, y = save_output(out)](Backward& ctx) {
             ctx.set(0, log ? log_softmax_backward(ctx.grad(), ctx.get(y), dim)
                            : softmax_backward(ctx.grad(), ctx.get(y), dim));
           });
  }
  return out;
}

}  // namespace

Tensor softmax(const Tensor& t, int64_t dim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32_cuda);
  return forward_op(false, t, dim, dtype);
}
Tensor log_softmax(const Tensor& t, int64_t dim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32_cuda);
  return forward_op(true, t, dim, dtype);
}
Tensor softmin(const Tensor& t, int64_t dim, std::optional<DType> dtype) {
  return softmax(neg(dtype ? t.to(*dtype) : t), dim);
}

// With v the gradient of the result: dx = y (g - sum(g y)) is linear in g with a symmetric matrix, so g's gradient is the
// same function of v. y's follows from the product rule.
Tensor softmax_backward(const Tensor& g, const Tensor& y, int64_t dim) {
  Tensor out = backward_op(false, g, y, dim);
  if (recording(g, y)) {
    record("SoftmaxBackwardBackward0", {g, y}, {out}, [dim, g = save(g), y = save(y)](Backward& ctx) {
      const Tensor v = ctx.grad(), out = ctx.get(y), grad = ctx.get(g);
      if (ctx.needs(0)) ctx.set(0, softmax_backward(v, out, dim));
      if (ctx.needs(1)) {
        const Tensor by_grad = sum(mul(grad, out), {dim}, true), by_v = sum(mul(v, out), {dim}, true);
        ctx.set(1, sub(mul(v, sub(grad, by_grad)), mul(grad, by_v)));
      }
    });
  }
  return out;
}

// dx = g - exp(y) sum(g).
Tensor log_softmax_backward(const Tensor& g, const Tensor& y, int64_t dim) {
  Tensor out = backward_op(true, g, y, dim);
  if (recording(g, y)) {
    record("LogSoftmaxBackwardBackward0", {g, y}, {out}, [dim, g = save(g), y = save(y)](Backward& ctx) {
      const Tensor weighted = mul(ctx.grad(), exp(ctx.get(y)));
      if (ctx.needs(0)) ctx.set(0, sub(ctx.grad(), sum(weighted, {dim}, true)));
      if (ctx.needs(1)) ctx.set(1, neg(mul(weighted, sum(ctx.get(g), {dim}, true))));
    });
  }
  return out;
}

}  // namespace norch
