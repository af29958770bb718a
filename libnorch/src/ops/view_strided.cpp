// Views of any geometry, their backward, and the ops that give a tensor object itself another shape.
#include <algorithm>

#include "autograd/in_place.h"
#include "autograd/record_linear.h"
#include "norch/ops/binary.h"
#include "norch/ops/indexing.h"
#include "norch/ops/view.h"
#include "ops/view_ops.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::record_linear;
using autograd::recording;

namespace {

/// Elements of memory from the offset that the geometry reaches; -1 if that does not fit in 64 bits.
int64_t extent(Ints sizes, Ints strides) {
  int64_t n = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t span = 0;
    if (sizes[i] == 0) return 0;
    if (__builtin_mul_overflow(sizes[i] - 1, strides[i], &span) || __builtin_add_overflow(n, span, &n)) return -1;
  }
  return n;
}

void check_geometry(const char* op, const Tensor& t, Ints sizes, Ints strides, int64_t offset) {
  NORCH_CHECK(sizes.size() == strides.size(), op, ": mismatch in length of strides and shape: ", strides, " and ",
              sizes);
  NORCH_CHECK(offset >= 0, op, ": storage offset must not be negative, got ", offset);
  numel_of(sizes, op);
  for (int64_t s : strides)
    NORCH_CHECK(s >= 0, op, ": Negative strides are not supported at the moment, got strides: ", strides);
  const int64_t reach = extent(sizes, strides), room = static_cast<int64_t>(t.storage()->nbytes() / t.itemsize());
  NORCH_CHECK(reach == 0 || (reach > 0 && reach <= room && offset <= room - reach), op, ": setStorage: sizes ", sizes,
              ", strides ", strides, ", storage offset ", offset, ", and itemsize ", t.itemsize(),
              " are out of bounds for storage of size ", t.storage()->nbytes());
}

/// `t` with the given strides, which do not overlap. Differentiable.
Tensor with_strides(const Tensor& t, Ints strides) {
  if (t.strides() == strides) return t;
  Tensor out = new_strided(t.sizes(), strides, t.dtype(), t.device());
  copy_into(out, t);
  if (recording(t)) record_linear("CloneBackward0", {t}, {out}, [](Backward& ctx) { ctx.set(0, ctx.grad()); });
  return out;
}

struct Geometry {
  Shape sizes, strides;
  int64_t offset = 0;
};

Tensor at_geometry(const Tensor& t, const Geometry& g) { return as_strided(t, g.sizes, g.strides, g.offset); }

/// For every element of the geometry, in row-major order, its place in memory.
Tensor places(const Geometry& g, Device device) {
  const Tensor out = new_tensor({numel_of(g.sizes)}, DType::Int64, kCPU);
  int64_t* p = out.data<int64_t>();
  Shape at(g.sizes.size());
  int64_t place = g.offset;
  for (int64_t i = 0; i < out.numel(); ++i) {
    p[i] = place;
    for (size_t d = g.sizes.size(); d-- > 0;) {
      place += g.strides[d];
      if (++at[d] < g.sizes[d]) break;
      place -= g.sizes[d] * g.strides[d];
      at[d] = 0;
    }
  }
  return out.to(device);
}

/// The gradient of a tensor of geometry `in` from that of a view of its memory. Both are laid over one block that
/// stands for the memory; what meets at one place adds up. An input whose own elements overlap gets equal shares.
Tensor as_strided_backward(const Tensor& grad, Geometry in, Geometry out) {
  const int64_t first = std::min(in.offset, out.offset);
  in.offset -= first;
  out.offset -= first;
  const int64_t n = std::max(in.offset + extent(in.sizes, in.strides), out.offset + extent(out.sizes, out.strides));
  const Tensor block = zeros({n}, grad.options());
  Tensor memory = may_overlap(out.sizes, out.strides)
                      ? index_add(block, 0, places(out, grad.device()), reshape(grad, {-1}))
                      : as_strided_scatter(block, grad, out.sizes, out.strides, out.offset);
  if (may_overlap(in.sizes, in.strides)) {
    const Tensor index = places(in, grad.device());
    const Tensor count = index_add(block, 0, index, ones(index.sizes(), grad.options()));
    memory = div(memory, count + eq(count, Tensor::wrap(0)));
  }
  return at_geometry(memory, in);
}

}  // namespace

bool may_overlap(Ints sizes, Ints strides) {
  size_t order[kMaxTensorDims];
  size_t n = 0;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 0) return false;
    if (sizes[d] > 1) order[n++] = d;
  }
  std::sort(order, order + n, [&](size_t a, size_t b) { return strides[a] < strides[b]; });
  int64_t reach = 0;
  for (size_t i = 0; i < n; ++i) {
    if (strides[order[i]] <= reach) return true;
    reach += (sizes[order[i]] - 1) * strides[order[i]];
  }
  return false;
}

Tensor as_strided(const Tensor& t, Ints sizes, Ints strides, std::optional<int64_t> storage_offset) {
  const int64_t offset = storage_offset.value_or(t.storage_offset());
  check_geometry("as_strided", t, sizes, strides, offset);
  Tensor out = new_view(t, sizes, strides, offset);
  if (recording(t)) {
    record_linear("AsStridedBackward0", {t}, {out},
           [in = Geometry{t.sizes(), t.strides(), t.storage_offset()}, to = Geometry{sizes, strides, offset}](
               Backward& ctx) { ctx.set(0, as_strided_backward(ctx.grad(), in, to)); });
  }
  return out;
}

Tensor as_strided_scatter(const Tensor& base, const Tensor& part, Ints sizes, Ints strides,
                          std::optional<int64_t> storage_offset) {
  const bool dense = !may_overlap(base.sizes(), base.strides());
  Tensor out = dense ? new_strided(base.sizes(), base.strides(), base.dtype(), base.device())
                     : new_tensor(base.sizes(), base.dtype(), base.device());
  const int64_t offset = storage_offset.value_or(base.storage_offset()) - base.storage_offset();
  check_geometry("as_strided_scatter", out, sizes, strides, offset);
  NORCH_CHECK(part.sizes() == sizes, "as_strided_scatter: expected src to have a size equal to the slice of self. src "
              "size = ", part.sizes(), ", slice size = ", sizes);
  NORCH_CHECK(part.device() == base.device(), "as_strided_scatter: Expected all tensors to be on the same device, but "
              "found at least two devices, ", base.device(), " and ", part.device());
  copy_into(out, base);
  copy_into(new_view(autograd::shallow_copy(out), sizes, strides, offset), part);
  if (recording(base, part)) {
    record("AsStridedScatterBackward0", {base, part}, {out},
           [layout = Shape(out.strides()), sizes = Shape(sizes), strides = Shape(strides), offset](Backward& ctx) {
             const Tensor g = with_strides(ctx.grad(), layout);
             const int64_t from = g.storage_offset() + offset;
             if (ctx.needs(0)) ctx.set(0, as_strided_scatter(g, zeros(sizes, g.options()), sizes, strides, from));
             if (ctx.needs(1)) ctx.set(1, as_strided(g, sizes, strides, from));
           });
  }
  return out;
}

// ---- changing the shape of the tensor object itself

namespace {

/// Gives `self` the shape of make(self as it was), a view of the same elements.
template <class Make>
Tensor reshape_in_place(const char* op, const Tensor& self, Make make) {
  NORCH_CHECK(self.defined(), op, ": expected a tensor, but this one is undefined");
  TensorImpl& impl = *self.impl();
  NORCH_CHECK(!autograd::grad_enabled() || !impl.requires_grad, op,
              ": a leaf Variable that requires grad is being used in an in-place operation.");
  Tensor before = autograd::shallow_copy(self);
  before.impl()->grad_fn = self.grad_fn();
  before.impl()->output_nr = impl.output_nr;
  Tensor out = make(before);
  impl.sizes = out.sizes();
  impl.strides = out.strides();
  impl.offset = out.storage_offset();
  impl.refresh();
  impl.storage->bump_version();
  if (impl.meta && impl.meta->base.defined()) {
    self.grad_fn();  // rebuilt for the new shape, since the version has moved on
  } else if (const Ref<autograd::Node>& node = out.grad_fn()) {
    const bool retained = autograd::retains_grad(self);
    if (retained) autograd::forget_retained(impl);
    impl.grad_fn = node;
    impl.output_nr = out.impl()->output_nr;
    if (retained) autograd::retain_grad(self);
  }
  return self;
}

}  // namespace

Tensor squeeze_(const Tensor& self) {
  return reshape_in_place("squeeze_", self, [](const Tensor& t) { return squeeze(t); });
}
Tensor squeeze_(const Tensor& self, int64_t dim) {
  return reshape_in_place("squeeze_", self, [=](const Tensor& t) { return squeeze(t, dim); });
}
Tensor squeeze_(const Tensor& self, Ints dims) {
  return reshape_in_place("squeeze_", self, [=](const Tensor& t) { return squeeze(t, dims); });
}
Tensor unsqueeze_(const Tensor& self, int64_t dim) {
  return reshape_in_place("unsqueeze_", self, [=](const Tensor& t) { return unsqueeze(t, dim); });
}
Tensor transpose_(const Tensor& self, int64_t dim0, int64_t dim1) {
  return reshape_in_place("transpose_", self, [=](const Tensor& t) { return transpose(t, dim0, dim1); });
}
Tensor t_(const Tensor& self) {
  return reshape_in_place("t_", self, [](const Tensor& x) { return t(x); });
}
Tensor as_strided_(const Tensor& self, Ints sizes, Ints strides, std::optional<int64_t> storage_offset) {
  return reshape_in_place("as_strided_", self,
                          [&](const Tensor& t) { return as_strided(t, sizes, strides, storage_offset); });
}

}  // namespace norch
