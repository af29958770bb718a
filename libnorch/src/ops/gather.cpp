#include "norch/ops/gather.h"

#include <algorithm>
#include <limits>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/index_plan.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::ScatterOp;

namespace {

/// Checks an index of `t` along `dim` and brings it to the tensor's device. `src`: a scatter's source, or undefined.
Tensor checked_index(const char* op, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& src = {}) {
  // An empty index may have any dtype, as in PyTorch: nothing is read from it.
  NORCH_CHECK(index.dtype() == DType::Int64 || index.dtype() == DType::Int32 || index.numel() == 0, op,
              "(): Expected dtype int32 or int64 for index, got ", index.dtype());
  NORCH_CHECK(index.device() == t.device(), op, "(): Expected all tensors to be on the same device, but found at least "
              "two devices, ", t.device(), " and ", index.device());
  if (src.defined()) {
    NORCH_CHECK(src.dtype() == t.dtype(), op, "(): Expected self.dtype to be equal to src.dtype, got ", t.dtype(),
                " and ", src.dtype());
    NORCH_CHECK(src.device() == t.device(), op, "(): Expected all tensors to be on the same device, but found at least "
                "two devices, ", t.device(), " and ", src.device());
  }
  if (index.numel() == 0) return index.to(DType::Int64);
  const int64_t n = std::max<int64_t>(t.dim(), 1);
  NORCH_CHECK(std::max<int64_t>(index.dim(), 1) == n, op,
              ": Index tensor must have the same number of dimensions as input tensor, got ", index.dim(), " and ",
              t.dim());
  NORCH_CHECK(!src.defined() || std::max<int64_t>(src.dim(), 1) == n, op,
              ": Index tensor must have the same number of dimensions as src tensor, got ", index.dim(), " and ",
              src.defined() ? src.dim() : 0);
  for (int64_t d = 0; d < index.dim(); ++d) {
    const int64_t own = t.dim() ? t.sizes()[d] : 1, from = src.defined() && src.dim() ? src.sizes()[d] : 1;
    NORCH_CHECK((d == dim || index.sizes()[d] <= own) && (!src.defined() || index.sizes()[d] <= from), op,
                ": Size does not match at dimension ", d, " expected index ", index.sizes(), " to be no larger than self ",
                t.sizes(), " apart from dimension ", dim,
                src.defined() ? str(" and to be no larger size than src ", src.sizes()) : std::string());
  }
  return index.to(DType::Int64);
}

/// The part of `src` that a scatter by `index` uses, in the shape of `index`.
Tensor used_part(const Tensor& src, const Tensor& index) {
  if (src.sizes() == index.sizes()) return src;
  if (index.dim() == 0 || src.dim() == 0) return reshape(src.dim() ? select(src, 0, 0) : src, {});
  Tensor part = src;
  for (int64_t d = 0; d < src.dim(); ++d)
    if (index.sizes()[d] < src.sizes()[d]) part = slice(part, d, 0, index.sizes()[d]);
  return part;
}

/// `fresh`: nobody has `out` yet, should an index be out of range.
void run(const char* op, const Tensor& out, int64_t dim, const Tensor& index, const Tensor& src, ScatterOp mode,
         bool fresh = false) {
  scatter_into(out, src.detach(), mode, [&](const Tensor& dst) {
    IndexWalk walk = along_dim_walk(op, dst, dim, index);
    walk.along.fresh = fresh;
    return walk;
  });
}

Tensor copy_of(const Tensor& t) {
  Tensor out = new_tensor(t.sizes(), t.dtype(), t.device());
  copy_into(out, t);
  return out;
}

/// The scatters that replace or add; `src` has the shape of index, or is 0-d.
Tensor scatter_op(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                  ScatterOp mode, Tensor out = {}) {
  const bool fresh = !out.defined();
  if (fresh) out = copy_of(self);
  run(op, out, dim, index, src, mode, fresh);
  if (recording(self, src)) {
    record(mode == ScatterOp::Add ? "ScatterAddBackward0" : "ScatterBackward0", {self, src}, {out},
           [dim, mode, index = save(index)](Backward& ctx) {
             const Tensor i = ctx.get(index), &g = ctx.grad();
             if (ctx.needs(0))
               ctx.set(0, mode == ScatterOp::Add ? g : scatter_op("scatter", g, dim, i, zeros({}, g.options()), mode));
             if (ctx.needs(1)) ctx.set(1, gather(g, dim, i));
           });
  }
  return out;
}

Tensor scatter_product(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                       Tensor out) {
  const bool fresh = !out.defined();
  if (fresh) out = copy_of(self);
  run(op, out, dim, index, src, ScatterOp::Mul, fresh);
  if (recording(self, src)) {
    record("ScatterBackward0", {self, src}, {out}, [](Backward&) {
      NORCH_RAISE(Error, "scatter: the derivative with reduce='multiply' is not implemented; use scatter_reduce with "
                         "'prod'");
    });
  }
  return out;
}

Tensor scatter_form(const char* op, const Tensor& self, int64_t dim, const Tensor& index_, const Tensor& src,
                    bool number, const std::string& reduce, bool in_place) {
  NORCH_CHECK(reduce.empty() || reduce == "add" || reduce == "multiply", op,
              ": reduce argument must be either add or multiply, got '", reduce, "'");
  dim = wrap_dim(dim, self.dim(), op);
  const Tensor index = checked_index(op, self, dim, index_, number ? Tensor() : src);
  // Nothing to write; a double backward still wants the (empty) source in the graph.
  const bool linked = recording(src) && src.sizes() == index.sizes();
  if (index.numel() == 0 && !linked) return in_place ? self : self.clone();
  const Tensor part = number ? src : used_part(src, index);
  auto apply = [&](const Tensor& from, const Tensor& out) {
    if (reduce == "multiply") return scatter_product(op, from, dim, index, part, out);
    return scatter_op(op, from, dim, index, part, reduce == "add" ? ScatterOp::Add : ScatterOp::Assign, out);
  };
  if (!in_place) return apply(self, {});
  InPlace write(op, self);
  return write.finish(apply(write.input(), write.output()));
}

// ---- scatter_reduce

/// The value that leaves others alone under the op.
Scalar identity_of(ScatterOp op, DType t) {
  if (op == ScatterOp::Add) return 0;
  if (op == ScatterOp::Mul) return 1;
  const bool low = op == ScatterOp::Max;
  if (is_floating_point(t)) return low ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  switch (t) {
    case DType::Bool: return !low;
    case DType::UInt8: return low ? 0 : 255;
    case DType::Int8: return low ? -128 : 127;
    case DType::Int16: return low ? -32768 : 32767;
    case DType::Int32: return low ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
    default: return low ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  }
}

/// How many values meet at each place, at least 1.
Tensor counts_of(const Tensor& self, int64_t dim, const Tensor& index, bool include_self) {
  autograd::NoGrad off;
  const Tensor start = include_self ? ones(self.sizes(), self.options()) : zeros(self.sizes(), self.options());
  const Tensor n = scatter_op("scatter_reduce", start, dim, index, ones({}, self.options()), ScatterOp::Add);
  return add(n, eq(n, Tensor::wrap(0)).to(n.dtype()));
}

struct Reduction {
  ScatterOp op;
  bool mean, include_self;
};

Tensor reduce_op(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src, Reduction r,
                 Tensor out = {});

/// 1 where the condition holds, in the dtype of `like`.
Tensor indicator(const Tensor& condition, const Tensor& like) { return condition.to(like.dtype()); }

void product_backward(Backward& ctx, const Tensor& self, const Tensor& src, const Tensor& result, int64_t dim,
                      const Tensor& index, bool include_self) {
  const Tensor& g = ctx.grad();
  const Reduction r{ScatterOp::Mul, false, include_self};
  const Tensor zero = Tensor::wrap(0);
  if (ctx.needs(0)) {
    // With zeros of self replaced by 1 the product divided by it is the product of the others.
    const Tensor filled = add(self, indicator(eq(self, zero), self));
    const Tensor others = div(reduce_op("scatter_reduce", filled, dim, index, src, r), filled);
    Tensor gs = mul(g, others);
    if (!include_self) gs = scatter_op("scatter", gs, dim, index, zeros({}, g.options()), ScatterOp::Assign);
    ctx.set(0, gs);
  }
  if (ctx.needs(1)) {
    const Tensor is_zero = indicator(eq(src, zero), src);
    const Tensor zeros_there = gather(
        scatter_op("scatter", zeros(self.sizes(), src.options()), dim, index, is_zero, ScatterOp::Add), dim, index);
    const Tensor only_zero = mul(is_zero, indicator(eq(zeros_there, Tensor::wrap(1)), src));
    // A single zero: its derivative is the product of the others. Otherwise the product over the value itself.
    const Tensor others = add(mul(src, sub(Tensor::wrap(1), only_zero)), only_zero);
    const Tensor without = reduce_op("scatter_reduce", self, dim, index, others, r);
    const Tensor single = mul(only_zero, gather(mul(g, without), dim, index));
    const Tensor rest = div(gather(mul(g, result), dim, index), add(src, is_zero));
    ctx.set(1, add(single, mul(sub(Tensor::wrap(1), only_zero), rest)));
  }
}

void extremum_backward(Backward& ctx, const Tensor& self, const Tensor& src, const Tensor& result, int64_t dim,
                       const Tensor& index, bool include_self) {
  const Tensor& g = ctx.grad();
  // Equal winners share the gradient.
  const Tensor self_wins = indicator(eq(self, result), g);
  const Tensor src_wins = indicator(eq(src, gather(result, dim, index)), g);
  Tensor winners = scatter_op("scatter", self_wins, dim, index, src_wins, ScatterOp::Add);
  if (!include_self)
    winners = scatter_op("scatter", zeros(self.sizes(), g.options()), dim, index, src_wins, ScatterOp::Add);
  const Tensor share = div(g, add(winners, indicator(eq(winners, Tensor::wrap(0)), g)));
  if (ctx.needs(0)) {
    Tensor gs = include_self ? mul(self_wins, share)
                             : scatter_op("scatter", g, dim, index, zeros({}, g.options()), ScatterOp::Assign);
    ctx.set(0, gs);
  }
  if (ctx.needs(1)) ctx.set(1, mul(src_wins, gather(share, dim, index)));
}

Tensor reduce_op(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src, Reduction r,
                 Tensor out) {
  if (!out.defined()) out = copy_of(self);
  const Tensor before = r.op == ScatterOp::Mul || r.op >= ScatterOp::Min ? self : Tensor();
  if (!r.include_self)
    run(op, out, dim, index, full({}, identity_of(r.op, self.dtype()), self.options()), ScatterOp::Assign);
  run(op, out, dim, index, src, r.op);
  Tensor count;
  if (r.mean) {
    count = counts_of(self, dim, index, r.include_self);
    autograd::NoGrad off;
    // Integers divide towards minus infinity, as PyTorch's.
    copy_into(out, is_integral(out.dtype(), true) ? floor_divide(out, count) : div(out, count));
  }
  if (recording(self, src)) {
    const bool linear = r.op == ScatterOp::Add;
    record("ScatterReduceBackward0", {self, src}, {out},
           [dim, r, linear, index = save(index), self = linear ? save(Tensor()) : save(self),
            src = linear ? save(Tensor()) : save(src), count = save(count),
            result = linear ? save(Tensor()) : save_output(out)](Backward& ctx) {
             const Tensor i = ctx.get(index);
             if (!linear) {
               auto backward = r.op == ScatterOp::Mul ? product_backward : extremum_backward;
               return backward(ctx, ctx.get(self), ctx.get(src), ctx.get(result), dim, i, r.include_self);
             }
             const Tensor g = r.mean ? div(ctx.grad(), ctx.get(count)) : ctx.grad();
             if (ctx.needs(0))
               ctx.set(0, r.include_self
                              ? g
                              : scatter_op("scatter", g, dim, i, zeros({}, g.options()), ScatterOp::Assign));
             if (ctx.needs(1)) ctx.set(1, gather(g, dim, i));
           });
  }
  return out;
}

Tensor reduce_form(const char* op, const Tensor& self, int64_t dim, const Tensor& index_, const Tensor& src,
                   const std::string& reduce, bool include_self, bool in_place) {
  Reduction r{ScatterOp::Add, reduce == "mean", include_self};
  if (reduce == "prod")
    r.op = ScatterOp::Mul;
  else if (reduce == "amax")
    r.op = ScatterOp::Max;
  else if (reduce == "amin")
    r.op = ScatterOp::Min;
  else
    NORCH_CHECK(reduce == "sum" || reduce == "mean", op, ": reduce argument must be either sum, prod, mean, amax or "
                "amin, got ", reduce);
  dim = wrap_dim(dim, self.dim(), op);
  const Tensor index = checked_index(op, self, dim, index_, src);
  if (index.numel() == 0) return in_place ? self : self.clone();
  const Tensor part = used_part(src, index);
  if (!in_place) return reduce_op(op, self, dim, index, part, r);
  InPlace write(op, self);
  return write.finish(reduce_op(op, write.input(), dim, index, part, r));
}

}  // namespace

// ---- public

Tensor gather(const Tensor& t, int64_t dim, const Tensor& index_) {
  dim = wrap_dim(dim, t.dim(), "gather");
  const Tensor index = checked_index("gather", t, dim, index_);
  Tensor out = index.numel() ? run_gather(t, along_dim_walk("gather", t, dim, index))
                             : new_tensor(index.sizes(), t.dtype(), t.device());
  if (recording(t)) {
    record("GatherBackward0", {t}, {out}, [from = Shape(t.sizes()), dim, index = save(index)](Backward& ctx) {
      const Tensor& g = ctx.grad();
      const Tensor i = ctx.get(index);
      ctx.set(0, scatter_op("scatter_add", zeros(from, g.options()), dim, i, g, ScatterOp::Add));
    });
  }
  return out;
}

Tensor take_along_dim(const Tensor& t, const Tensor& index, std::optional<int64_t> dim) {
  NORCH_CHECK(index.dtype() == DType::Int64, "take_along_dim(): dtype of indices should be Long but got ",
              index.dtype());
  if (!dim) return take_along_dim(reshape(t, {-1}), reshape(index, {-1}), 0);
  NORCH_CHECK(t.dim() == index.dim(), "take_along_dim(): input and indices should have the same number of dimensions, "
              "but got ", t.dim(), " dimensions for input, and ", index.dim(), " dimensions for indices");
  const int64_t d = wrap_dim(*dim, t.dim(), "take_along_dim");
  if (t.dim() == 0) return gather(t, 0, index);
  Shape a(t.sizes()), b(index.sizes());
  a[d] = b[d] = 1;
  Shape shape = broadcast_shapes(a, b, "take_along_dim"), other = shape;
  shape[d] = t.sizes()[d];
  other[d] = index.sizes()[d];
  const Tensor from_start = where(lt(index, Tensor::wrap(0)), add(index, Tensor::wrap(t.sizes()[d])), index);
  return gather(expand(t, shape), d, expand(from_start, other));
}

Tensor scatter(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src, const std::string& reduce) {
  return scatter_form("scatter", self, dim, index, src, false, reduce, false);
}
Tensor scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src, const std::string& reduce) {
  return scatter_form("scatter_", self, dim, index, src, false, reduce, true);
}
Tensor scatter(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value, const std::string& reduce) {
  return scatter_form("scatter", self, dim, index, full({}, value, self.options()), true, reduce, false);
}
Tensor scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value, const std::string& reduce) {
  return scatter_form("scatter_", self, dim, index, full({}, value, self.options()), true, reduce, true);
}
Tensor scatter_add(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src) {
  NORCH_AUTOCAST(widest_cuda, scatter_add, self, dim, index, src);
  return scatter_form("scatter_add", self, dim, index, src, false, "add", false);
}
Tensor scatter_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src) {
  return scatter_form("scatter_add_", self, dim, index, src, false, "add", true);
}
Tensor scatter_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                      const std::string& reduce, bool include_self) {
  return reduce_form("scatter_reduce", self, dim, index, src, reduce, include_self, false);
}
Tensor scatter_reduce_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                       const std::string& reduce, bool include_self) {
  return reduce_form("scatter_reduce_", self, dim, index, src, reduce, include_self, true);
}

}  // namespace norch
