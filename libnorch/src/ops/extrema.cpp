// Reductions that pick elements: amax, max, argmax and their mirror images.
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/reduce.h"
#include "norch/ops/binary.h"
#include "norch/ops/reduce.h"
#include "ops/along_dim.h"
#include "ops/dtype_views.h"
#include "ops/reduce_common.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::ReduceOp;

namespace {

Tensor extremum(const char* op, const char* node, ReduceOp kind, const Tensor& t, Ints dims, bool keepdim) {
  if (is_wide_unsigned(t.dtype()))
    return from_int64_order(extremum(op, node, kind, in_int64_order(t), dims, keepdim), t.dtype());
  const ReducedDims d = reduced_dims(op, t, dims, keepdim);
  check_not_empty(op, t, d, dims.empty());
  Tensor out = new_tensor(d.out, t.dtype(), t.device());
  kernels::reduce(t.device(), kind, make_reduce_plan(t, d.mask), out, kernels::ReduceArgs{});
  if (recording(t)) {
    record(node, {t}, {out}, [d, t = save(t), out = save_output(out)](Backward& ctx) {
      // Where a row holds NaN the result is NaN, and its NaNs are the extreme elements.
      const Tensor x = ctx.get(t).detach();
      const Tensor mask = add(eq(x, with_ones(ctx.get(out).detach(), d)), ne(x, x));
      Shape dims;
      for (int64_t i = 0; i < x.dim(); ++i)
        if ((d.mask >> i) & 1) dims.push_back(i);
      const Tensor count = x.dim() ? sum(mask, dims, true) : mask;
      ctx.set(0, mul(div(with_ones(ctx.grad(), d), count), mask));
    });
  }
  return out;
}

ValuesAndIndices select_op(const char* op, const char* node, bool largest, const Tensor& t, int64_t dim, bool keepdim) {
  if (is_wide_unsigned(t.dtype())) {
    const ValuesAndIndices r = select_op(op, node, largest, in_int64_order(t), dim, keepdim);
    return {from_int64_order(r.values, t.dtype()), r.indices};
  }
  const ReducedDims d = reduced_dims(op, t, {dim}, keepdim);
  check_not_empty(op, t, d, false);
  ValuesAndIndices out{new_tensor(d.out, t.dtype(), t.device()), new_tensor(d.out, DType::Int64, t.device())};
  kernels::reduce_select(t.device(), largest, make_reduce_plan(t, d.mask), out.values, out.indices);
  record_selected(node, t, out.values, out.indices, dim, keepdim);
  return out;
}

Tensor arg_op(const char* op, bool largest, const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  if (is_wide_unsigned(t.dtype())) return arg_op(op, largest, in_int64_order(t), dim, keepdim);
  const Tensor x = dim ? t : t.detach().contiguous();
  const ReducedDims d = dim ? reduced_dims(op, t, {*dim}, keepdim) : reduced_dims(op, t, {}, keepdim);
  NORCH_CHECK_INDEX(dim || t.numel() != 0, op, "(): Expected reduction dim to be specified for input.numel() == 0. ",
                    "Specify the reduction dim with the 'dim' argument.");
  check_not_empty(op, t, d, false);
  Tensor out = new_tensor(d.out, DType::Int64, t.device());
  kernels::reduce_select(t.device(), largest, make_reduce_plan(x, d.mask), Tensor(), out);
  return out;
}

}  // namespace

Tensor amax(const Tensor& t, Ints dims, bool keepdim) {
  return extremum("amax", "AmaxBackward0", ReduceOp::Max, t, dims, keepdim);
}
Tensor amin(const Tensor& t, Ints dims, bool keepdim) {
  return extremum("amin", "AminBackward0", ReduceOp::Min, t, dims, keepdim);
}
Tensor max(const Tensor& t) { return extremum("max", "MaxBackward1", ReduceOp::Max, t, {}, false); }
Tensor min(const Tensor& t) { return extremum("min", "MinBackward1", ReduceOp::Min, t, {}, false); }

std::pair<Tensor, Tensor> aminmax(const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  const Shape dims = dim ? Shape{*dim} : Shape{};
  return {extremum("aminmax", "AminmaxBackward0", ReduceOp::Min, t, dims, keepdim),
          extremum("aminmax", "AminmaxBackward0", ReduceOp::Max, t, dims, keepdim)};
}

ValuesAndIndices max(const Tensor& t, int64_t dim, bool keepdim) {
  return select_op("max", "MaxBackward0", true, t, dim, keepdim);
}
ValuesAndIndices min(const Tensor& t, int64_t dim, bool keepdim) {
  return select_op("min", "MinBackward0", false, t, dim, keepdim);
}
Tensor argmax(const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  return arg_op("argmax", true, t, dim, keepdim);
}
Tensor argmin(const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  return arg_op("argmin", false, t, dim, keepdim);
}

}  // namespace norch
