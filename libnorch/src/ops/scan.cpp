#include "norch/ops/scan.h"

#include <cmath>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/scan.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/join.h"
#include "norch/ops/slice.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/along_dim.h"
#include "ops/autocast.h"
#include "ops/dtype_views.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::ScanOp;
using kernels::ScanShape;

namespace {

ScanShape scan_shape(const Tensor& t, int64_t dim) {
  const DimSplit s(t, dim);
  return {s.outer, s.n, s.inner};
}

/// Whether the kernels accumulate as `to` asks without a cast first.
bool direct(DType from, DType to) {
  if (is_wide_unsigned(from)) return false;
  return from == to || (is_integral(from, true) && to == DType::Int64);
}

Tensor run(ScanOp op, const Tensor& t, int64_t dim, DType type, bool reverse) {
  // Integers are scanned as int64: those of other widths wrap around to the same results.
  const bool integral = is_integral(t.dtype(), true);
  const Tensor in = (integral ? t.detach().to(DType::Int64) : t.detach()).contiguous();
  Tensor out = new_tensor(t.sizes(), in.dtype(), t.device());
  if (t.numel()) kernels::scan(t.device(), op, scan_shape(in, dim), out, in, reverse);
  return integral ? out.to(type) : out;
}

Tensor cumsum_op(const Tensor& t, int64_t dim, bool reverse) {
  Tensor out = run(ScanOp::Sum, t, dim, t.dtype(), reverse);
  if (recording(t)) {
    record("CumsumBackward0", {t}, {out},
           [dim, reverse](Backward& ctx) { ctx.set(0, cumsum_op(ctx.grad(), dim, !reverse)); });
  }
  return out;
}

/// The elements moved one place along `dim`, to higher indices or to lower ones; `fill` where nothing arrives.
Tensor shift(const Tensor& t, int64_t dim, bool up, double fill) {
  const int64_t n = t.dim() ? t.size(dim) : 1;
  Tensor out = full_like(t, fill);
  if (n > 1) copy_into(narrow(out, dim, up ? 1 : 0, n - 1), narrow(t.detach(), dim, up ? 0 : 1, n - 1));
  if (recording(t))
    record("ShiftBackward0", {t}, {out}, [dim, up](Backward& ctx) { ctx.set(0, shift(ctx.grad(), dim, !up, 0)); });
  return out;
}

/// dL/dx of running products y with dL/dy = g: x[k] scales every later product, so the gradient is the product of the
/// elements before k times the sum over j >= k of g[j] times the elements between. Nothing is divided by x.
Tensor cumprod_backward(const Tensor& g, const Tensor& x, int64_t dim) {
  return mul(cumprod(shift(x, dim, true, 1), dim), linear_scan(shift(x, dim, false, 1), g, dim, true));
}

ValuesAndIndices select_op(const char* op, const char* node, bool largest, const Tensor& t, int64_t dim) {
  dim = wrap_dim(dim, t.dim(), op);
  if (is_wide_unsigned(t.dtype())) {
    const ValuesAndIndices r = select_op(op, node, largest, in_int64_order(t), dim);
    return {from_int64_order(r.values, t.dtype()), r.indices};
  }
  ValuesAndIndices out{new_tensor(t.sizes(), t.dtype(), t.device()), new_tensor(t.sizes(), DType::Int64, t.device())};
  if (t.numel())
    kernels::scan_select(t.device(), largest, scan_shape(t, dim), out.values, out.indices, t.detach().contiguous());
  record_selected(node, t, out.values, out.indices, dim, true, true);
  return out;
}

/// Running results of an associative op of two tensors, in log2(n) steps: after each, an element joins twice as many
/// before it.
template <class Op>
Tensor doubling_scan(const Tensor& t, int64_t dim, Op op) {
  if (t.dim() == 0) return t.clone();
  Tensor out = t;
  const int64_t n = t.sizes()[dim];
  for (int64_t step = 1; step < n; step *= 2)
    out = cat({narrow(out, dim, 0, step), op(narrow(out, dim, step, n - step), narrow(out, dim, 0, n - step))}, dim);
  return out.is_same(t) ? t.clone() : out;
}

DType result_dtype(const Tensor& t, std::optional<DType> dtype) {
  return dtype ? *dtype : is_integral(t.dtype(), true) ? DType::Int64 : t.dtype();
}

}  // namespace

Tensor cumsum(const Tensor& t, int64_t dim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32_cuda);
  dim = wrap_dim(dim, t.dim(), "cumsum");
  const DType type = result_dtype(t, dtype);
  if (is_complex(type)) {
    const Tensor x = t.to(type);
    return x.dim() ? view_as_complex(cumsum(view_as_real(x), dim)) : x.clone();
  }
  if (is_wide_unsigned(type)) return cumsum(t, dim, DType::Int64).to(type);
  if (!direct(t.dtype(), type)) return cumsum(t.to(type), dim, type);
  return t.dtype() == type ? cumsum_op(t, dim, false) : run(ScanOp::Sum, t, dim, type, false);
}

Tensor cumprod(const Tensor& t, int64_t dim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32_cuda);
  dim = wrap_dim(dim, t.dim(), "cumprod");
  const DType type = result_dtype(t, dtype);
  if (is_complex(type)) return doubling_scan(t.to(type), dim, mul);
  if (is_wide_unsigned(type)) return cumprod(t, dim, DType::Int64).to(type);
  if (!direct(t.dtype(), type)) return cumprod(t.to(type), dim, type);
  Tensor out = run(ScanOp::Prod, t, dim, type, false);
  if (recording(t)) {
    record("CumprodBackward0", {t}, {out},
           [dim, t = save(t)](Backward& ctx) { ctx.set(0, cumprod_backward(ctx.grad(), ctx.get(t), dim)); });
  }
  return out;
}

Tensor prod_backward(const Tensor& g, const Tensor& x) {
  const int64_t dim = x.dim() - 1, n = x.size(dim);
  if (n == 0) return mul(expand(g, x.sizes()), x);
  // Only the last running product counts.
  Tensor last = zeros_like(x.detach());
  copy_into(narrow(last, dim, n - 1, 1), ones({1}, x.options()));
  return cumprod_backward(mul(expand(g, x.sizes()), last), x, dim);
}

ValuesAndIndices cummax(const Tensor& t, int64_t dim) { return select_op("cummax", "CummaxBackward0", true, t, dim); }
ValuesAndIndices cummin(const Tensor& t, int64_t dim) { return select_op("cummin", "CumminBackward0", false, t, dim); }

Tensor logcumsumexp(const Tensor& t, int64_t dim) {
  dim = wrap_dim(dim, t.dim(), "logcumsumexp");
  if (t.is_complex()) return doubling_scan(t, dim, logaddexp);
  NORCH_CHECK_IMPLEMENTED(t.is_floating_point(), "logcumsumexp: not implemented for ", t.dtype(),
                          "; convert to a floating-point dtype");
  Tensor out = run(ScanOp::LogSumExp, t, dim, t.dtype(), false);
  if (recording(t)) {
    // dL/dx[i] = sum over j >= i of g[j] exp(x[i] - y[j]); y never falls, so each factor below is at most 1.
    record("LogcumsumexpBackward0", {t}, {out}, [dim, t = save(t), out = save_output(out)](Backward& ctx) {
      Tensor x = ctx.get(t), y = ctx.get(out), g = ctx.grad();
      if (x.itemsize() < 4) {
        // 16 bits hold y too coarsely for differences of large numbers.
        x = x.to(kFloat32);
        y = logcumsumexp(x, dim);
        g = g.to(kFloat32);
      }
      const Tensor decay = exp(sub(y, shift(y, dim, false, INFINITY)));
      ctx.set(0, mul(exp(sub(x, y)), linear_scan(decay, g, dim, true)));
    });
  }
  return out;
}

Tensor linear_scan(const Tensor& x, const Tensor& g, int64_t dim, bool reverse) {
  NORCH_CHECK(x.sizes() == g.sizes() && x.dtype() == g.dtype() && x.device() == g.device(),
              "linear_scan: expected factors and terms of one shape, dtype and device, got ", x, " and ", g);
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), "linear_scan: not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  dim = wrap_dim(dim, x.dim(), "linear_scan");
  Tensor out = new_tensor(x.sizes(), x.dtype(), x.device());
  if (x.numel())
    kernels::linear_scan(x.device(), scan_shape(x, dim), out, x.detach().contiguous(), g.detach().contiguous(),
                         reverse);
  if (recording(x, g)) {
    // With h = dL/dy the gradient of the terms is the same recurrence the other way round, whose factor at i is the one
    // that multiplied y[i]: x of the next element. The first factor multiplies nothing.
    record("LinearScanBackward0", {x, g}, {out}, [dim, reverse, x = save(x), out = save_output(out)](Backward& ctx) {
      const Tensor terms = linear_scan(shift(ctx.get(x), dim, reverse, 0), ctx.grad(), dim, !reverse);
      if (ctx.needs(0)) ctx.set(0, mul(terms, shift(ctx.get(out), dim, !reverse, 0)));
      if (ctx.needs(1)) ctx.set(1, terms);
    });
  }
  return out;
}

}  // namespace norch
