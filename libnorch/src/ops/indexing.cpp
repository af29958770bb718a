#include "norch/ops/indexing.h"

#include <algorithm>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "core/fits.h"
#include "kernels/nonzero.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/index_ops.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using kernels::ScatterOp;

// ---- by an IndexSpec

Tensor index_get(const char* name, const Tensor& t, const IndexSpec& spec) {
  Tensor out = run_gather(t, index_walk(t, spec));
  if (recording(t)) {
    record(name, {t}, {out}, [from = Shape(t.sizes()), spec = SavedIndex(spec)](Backward& ctx) {
      ctx.set(0, index_get_backward(ctx.grad(), from, spec.unpack(ctx)));
    });
  }
  return out;
}

Tensor index_get_backward(const Tensor& g, Ints sizes, const IndexSpec& spec) {
  Tensor out = zeros(sizes, g.options());
  scatter_into(out, g.detach(), ScatterOp::Add, [&](const Tensor& dst) { return index_walk(dst, spec); });
  if (recording(g)) {
    record("IndexBackwardBackward0", {g}, {out}, [spec = SavedIndex(spec)](Backward& ctx) {
      ctx.set(0, index_get("IndexBackward0", ctx.grad(), spec.unpack(ctx)));
    });
  }
  return out;
}

Tensor index_set(const char* name, const Tensor& self, const IndexSpec& spec, const Tensor& values, ScatterOp op,
                 Tensor out) {
  const bool add = op == ScatterOp::Add;
  if (!out.defined()) {
    out = new_tensor(self.sizes(), self.dtype(), self.device());
    copy_into(out, self);
  }
  const IndexWalk walk = index_walk(out, spec);
  {
    bool fits = values.dim() <= static_cast<int64_t>(walk.sizes.size());
    for (int64_t d = 0; fits && d < values.dim(); ++d) {
      const int64_t n = values.sizes()[d];
      fits = n == 1 || n == walk.sizes[walk.sizes.size() - values.dim() + d];
    }
    NORCH_CHECK(fits, spec.op, ": shape mismatch: value tensor of shape ", values.sizes(),
                " cannot be broadcast to indexing result of shape ", walk.sizes);
  }
  scatter_into(out, values.detach(), op,
               [&](const Tensor& dst) { return dst.is_same(out) ? walk : index_walk(dst, spec); });
  if (recording(self, values)) {
    record(name, {self, values}, {out}, [name, add, spec = SavedIndex(spec)](Backward& ctx) {
      const IndexSpec s = spec.unpack(ctx);
      if (ctx.needs(0))
        ctx.set(0, add ? ctx.grad()
                       : index_set(name, ctx.grad(), s, zeros({}, ctx.grad().options()), ScatterOp::Assign));
      if (ctx.needs(1)) ctx.set(1, index_get("IndexBackward0", ctx.grad(), s));
    });
  }
  return out;
}

IndexEntry mask_entry(const Tensor& mask, int64_t dim) {
  const Tensor m = (mask.dtype() == DType::Bool ? mask : ne(mask, Tensor::wrap(0))).contiguous();
  return {kernels::flat_nonzero(m.device(), m), dim, mask.dim()};
}

// ---- along one dim

namespace {

/// The spec of an op on `dim`, and `self` with at least one dim.
IndexSpec dim_spec(const char* op, const Tensor& self, int64_t dim, const Tensor& index, bool negative = false) {
  NORCH_CHECK_INDEX(index.dim() <= 1, op, "(): Index is supposed to be a vector, but got dim: ", index.dim());
  Tensor i = prepare_index(op, index, self.device());
  if (i.dim() == 0) i = reshape(i, {1});
  return {{{i, wrap_dim(dim, self.dim(), op), 1}}, negative, op};
}

/// Checks that slice i of `source` belongs to index i.
void check_source(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
  NORCH_CHECK(self.dtype() == source.dtype(), op, "(): self and source expected to have the same dtype, but got (self) ",
              self.dtype(), " and (source) ", source.dtype());
  NORCH_CHECK(self.device() == source.device(), op, "(): Expected all tensors to be on the same device, but found at "
              "least two devices, ", self.device(), " and ", source.device());
  NORCH_CHECK(std::max<int64_t>(self.dim(), 1) == std::max<int64_t>(source.dim(), 1), op,
              "(): source has ", source.dim(), " dims, but self has ", self.dim());
  const int64_t count = source.dim() ? source.sizes()[dim] : 1;
  NORCH_CHECK(index.numel() == count, op, "(): Number of indices (", index.numel(),
              ") should be equal to source.size(dim): (", count, "), for dim: ", dim);
  for (int64_t d = 0; d < source.dim(); ++d)
    NORCH_CHECK(d == dim || source.sizes()[d] == self.sizes()[d], op, "(): source of shape ", source.sizes(),
                " must match self of shape ", self.sizes(), " but for dim ", dim);
}

/// The in-place and the copying form of an op that writes `values` by a spec.
Tensor set_along(const char* op, const char* name, const Tensor& self, int64_t dim, const Tensor& index,
                 const Tensor& values, ScatterOp mode, bool in_place, bool negative = false) {
  if (self.dim() == 0) {
    NORCH_CHECK(!in_place || !recording(self, values), op,
                ": a 0-d tensor cannot be written to by index while gradients are recorded; use the form that copies");
    const Tensor flat = reshape(self, {1}), v = values.dim() ? values : reshape(values, {1});
    const Tensor out = set_along(op, name, flat, dim, index, v, mode, in_place, negative);
    return in_place ? self : reshape(out, {});
  }
  const IndexSpec spec = dim_spec(op, self, dim, index, negative);
  if (!in_place) return index_set(name, self, spec, values, mode);
  InPlace write(op, self);
  return write.finish(index_set(name, write.input(), spec, values, mode, write.output()));
}

Tensor add_along(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                 const Scalar& alpha, bool in_place) {
  dim = wrap_dim(dim, self.dim());
  check_source(op, self, dim, index, source);
  const Tensor scaled = alpha.to_double() == 1 ? source : mul(source, Tensor::wrap(alpha)).to(source.dtype());
  return set_along(op, "IndexAddBackward0", self, dim, index, scaled, ScatterOp::Add, in_place);
}

Tensor copy_along(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                  bool in_place) {
  dim = wrap_dim(dim, self.dim());
  check_source(op, self, dim, index, source);
  return set_along(op, "IndexCopyBackward0", self, dim, index, source, ScatterOp::Assign, in_place);
}

Tensor fill_along(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& value,
                  bool in_place) {
  check_fits(value, self.dtype());
  NORCH_CHECK(value.dim() == 0, "index_fill_ only supports a 0-dimensional value tensor, but got tensor with ", value.dim(),
              " dimension(s).");
  const Tensor number = value.to(self.device(), self.dtype());
  if (recording(number) && self.dim() > 0) {
    // As a choice by a mask: an index that comes twice counts once in the value's gradient.
    const int64_t d = wrap_dim(dim, self.dim(), op);
    Shape shape;
    for (int64_t i = 0; i < self.dim(); ++i) shape.push_back(i == d ? self.sizes()[d] : 1);
    const Tensor none = zeros({self.sizes()[d]}, TensorOptions(kBool).device(self.device()));
    const Tensor filled = where(reshape(index_fill(none, 0, index, Scalar(true)), shape), number, self);
    return in_place ? copy_(self, filled) : filled;
  }
  return set_along(op, "IndexFillBackward0", self, dim, index, number, ScatterOp::Assign, in_place, true);
}

}  // namespace

Tensor index_select(const Tensor& t, int64_t dim, const Tensor& index) {
  if (t.dim() == 0) return reshape(index_select(reshape(t, {1}), dim, index), {});
  return index_get("IndexSelectBackward0", t, dim_spec("index_select", t, dim, index));
}

Tensor index_add(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) {
  return add_along("index_add", self, dim, index, source, alpha, false);
}
Tensor index_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) {
  return add_along("index_add_", self, dim, index, source, alpha, true);
}
Tensor index_copy(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
  NORCH_AUTOCAST(widest_cpu, index_copy, self, dim, index, source);
  return copy_along("index_copy", self, dim, index, source, false);
}
Tensor index_copy_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
  return copy_along("index_copy_", self, dim, index, source, true);
}
Tensor index_fill(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& value) {
  return fill_along("index_fill", self, dim, index, value, false);
}
Tensor index_fill_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& value) {
  return fill_along("index_fill_", self, dim, index, value, true);
}
Tensor index_fill(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value) {
  return fill_along("index_fill", self, dim, index, full({}, value, self.options()), false);
}
Tensor index_fill_(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value) {
  return fill_along("index_fill_", self, dim, index, full({}, value, self.options()), true);
}

// ---- by flat place

Tensor take(const Tensor& t, const Tensor& index) {
  return index_get("TakeBackward0", t, {{{prepare_index("take", index, t.device()), 0, t.dim()}}, true, "take"});
}

namespace {

Tensor put_op(const char* op, const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate,
              bool in_place) {
  NORCH_CHECK(self.dtype() == source.dtype(), op, "(): self and source expected to have the same dtype, but got self.dtype = ",
              self.dtype(), " and source.dtype = ", source.dtype());
  NORCH_CHECK(self.device() == source.device(), op, "(): Expected all tensors to be on the same device, but found at "
              "least two devices, ", self.device(), " and ", source.device());
  NORCH_CHECK_INDEX(index.numel() == source.numel(), op, "(): Expected source and index to have the same number of elements, "
              "but got source.numel() = ", source.numel(), ", index.numel() = ", index.numel());
  const IndexSpec spec{{{prepare_index(op, index, self.device()), 0, self.dim()}}, true, op};
  const Tensor values = reshape(source, index.sizes());
  const ScatterOp mode = accumulate ? ScatterOp::Add : ScatterOp::Assign;
  if (!in_place) return index_set("PutBackward0", self, spec, values, mode);
  InPlace write(op, self);
  return write.finish(index_set("PutBackward0", write.input(), spec, values, mode, write.output()));
}

}  // namespace

Tensor put(const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate) {
  return put_op("put", self, index, source, accumulate, false);
}
Tensor put_(const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate) {
  return put_op("put_", self, index, source, accumulate, true);
}

// ---- by mask

namespace {

void check_mask(const char* op, const Tensor& t, const Tensor& mask) {
  NORCH_CHECK(mask.dtype() == DType::Bool, op, ": expected BoolTensor for mask, got ", mask.dtype());
  NORCH_CHECK(mask.device() == t.device(), op, ": expected self and mask to be on the same device, but got mask on ",
              mask.device(), " and self on ", t.device());
}

Tensor masked_scatter_op(const char* op, const Tensor& self, const Tensor& mask, const Tensor& source, bool in_place) {
  check_mask(op, self, mask);
  NORCH_CHECK(self.dtype() == source.dtype(), op, ": expected self and source to have same dtypes but got ",
              self.dtype(), " and ", source.dtype());
  NORCH_CHECK(self.device() == source.device(), op, ": Expected all tensors to be on the same device, but found at "
              "least two devices, ", self.device(), " and ", source.device());
  const Shape shape = broadcast_shapes(self.sizes(), mask.sizes(), op);
  NORCH_CHECK(!in_place || shape == self.sizes(), op, ": mask of shape ", mask.sizes(), " does not broadcast to ",
              self.sizes());
  const Tensor target = shape == self.sizes() ? self : expand(self, shape);
  const IndexSpec spec{{mask_entry(expand(mask, shape), 0)}, false, op};
  const int64_t count = spec.entries[0].index.numel();
  NORCH_CHECK(source.numel() >= count, op, ": Number of elements of source < number of ones in mask");
  const Tensor values = narrow(reshape(source, {-1}), 0, 0, count);
  if (!in_place) return index_set("MaskedScatterBackward0", target, spec, values, ScatterOp::Assign);
  InPlace write(op, self);
  return write.finish(
      index_set("MaskedScatterBackward0", write.input(), spec, values, ScatterOp::Assign, write.output()));
}

}  // namespace

Tensor masked_select(const Tensor& t, const Tensor& mask) {
  check_mask("masked_select", t, mask);
  const Shape shape = broadcast_shapes(t.sizes(), mask.sizes(), "masked_select");
  const Tensor from = shape == t.sizes() ? t : expand(t, shape);
  return index_get("MaskedSelectBackward0", from, {{mask_entry(expand(mask, shape), 0)}, false, "masked_select"});
}

Tensor masked_scatter(const Tensor& self, const Tensor& mask, const Tensor& source) {
  return masked_scatter_op("masked_scatter", self, mask, source, false);
}
Tensor masked_scatter_(const Tensor& self, const Tensor& mask, const Tensor& source) {
  return masked_scatter_op("masked_scatter_", self, mask, source, true);
}

Tensor nonzero(const Tensor& t) {
  const Tensor flat = mask_entry(t.detach(), 0).index;
  Tensor out = new_tensor({flat.numel(), t.dim()}, DType::Int64, t.device());
  if (out.numel() > 0) kernels::unravel(t.device(), out, flat, t.sizes());
  return out;
}

TensorList nonzero_tuple(const Tensor& t) { return unbind(nonzero(t.dim() ? t : reshape(t, {1})), 1); }
Tensor argwhere(const Tensor& t) { return nonzero(t); }

// ---- in sorted rows

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool out_int32, bool right, const Tensor& sorter) {
  NORCH_CHECK(sorted.device() == values.device(), "searchsorted: sorted_sequence and values should have same device "
              "type, got ", sorted.device(), " and ", values.device());
  NORCH_CHECK(sorted.dim() > 0, "searchsorted: boundaries tensor should have at least 1 dimension, got a 0-d tensor");
  if (sorted.dim() > 1) {
    NORCH_CHECK(sorted.dim() == values.dim() &&
                    sorted.sizes().slice(0, sorted.dim() - 1) == values.sizes().slice(0, sorted.dim() - 1),
                "searchsorted: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
                "and input value tensor must match, but we got boundaries tensor ", sorted.sizes(),
                " and input value tensor ", values.sizes());
  }
  Tensor order;
  if (sorter.defined()) {
    NORCH_CHECK(sorter.sizes() == sorted.sizes(), "searchsorted: boundary and sorter must have the same size, but got "
                "boundary tensor ", sorted.sizes(), " and got sorter tensor ", sorter.sizes());
    NORCH_CHECK(sorter.dtype() == DType::Int64, "searchsorted: sorter must be a tensor of long dtype but got dtype ",
                sorter.dtype());
    order = sorter.to(sorted.device()).contiguous();
  }
  const DType type = promote_types(sorted.dtype(), values.dtype());
  autograd::NoGrad off;
  Tensor out = new_tensor(values.sizes(), DType::Int64, values.device());
  if (out.numel() > 0)
    kernels::searchsorted(values.device(), out, sorted.to(type).contiguous(), values.to(type).contiguous(), order, right);
  return out_int32 ? out.to(DType::Int32) : out;
}

Tensor bucketize(const Tensor& input, const Tensor& boundaries, bool out_int32, bool right) {
  NORCH_CHECK(boundaries.dim() == 1, "bucketize: boundaries tensor must be 1 dimension, but got dim(", boundaries.dim(),
              ")");
  return searchsorted(boundaries, input, out_int32, right);
}

}  // namespace norch
