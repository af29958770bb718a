#include "norch/ops/view.h"

#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;

Tensor as_strided(const Tensor& t, Ints sizes, Ints strides, int64_t offset) {
  NORCH_CHECK(sizes.size() == strides.size(), "as_strided: mismatch in length of strides ", strides, " and shape ",
              sizes);
  NORCH_CHECK(offset >= 0, "as_strided: storage offset must not be negative, got ", offset);
  int64_t last = offset;
  bool fits = true;
  for (size_t i = 0; i < sizes.size(); ++i) {
    NORCH_CHECK(strides[i] >= 0, "as_strided: Negative strides are not supported at the moment, got ", strides);
    int64_t span = 0;
    if (sizes[i] > 0)
      fits &= !__builtin_mul_overflow(sizes[i] - 1, strides[i], &span) && !__builtin_add_overflow(last, span, &last);
  }
  const int64_t room = static_cast<int64_t>(t.storage()->nbytes() / t.itemsize());
  NORCH_CHECK(numel_of(sizes, "as_strided") == 0 || (fits && last < room), "as_strided: setStorage: sizes ", sizes,
              ", strides ", strides, ", storage offset ", offset, " reach outside the storage of ", room, " elements");
  Tensor out = new_view(t, sizes, strides, offset);
  if (recording(t)) {
    record("AsStridedBackward0", {t}, {out},
           [base_sizes = Shape(t.sizes()), base_strides = Shape(t.strides()), base_offset = t.storage_offset(),
            sizes = Shape(sizes), strides = Shape(strides), offset](Backward& ctx) {
             Tensor zero = zeros({}, ctx.grad().options());
             Tensor base = as_strided_scatter(expand(zero, base_sizes).clone(), ctx.grad(), sizes, strides,
                                              offset - base_offset);
             ctx.set(0, base);
           });
  }
  return out;
}

Tensor as_strided_scatter(const Tensor& base, const Tensor& part, Ints sizes, Ints strides, int64_t offset) {
  Tensor out = new_strided(base.sizes(), base.strides(), base.dtype(), base.device());
  copy_into(out, base);
  copy_into(new_view(out.detach(), sizes, strides, offset - base.storage_offset()), part);
  if (recording(base, part)) {
    record("AsStridedScatterBackward0", {base, part}, {out},
           [strides_of_base = Shape(base.strides()), sizes = Shape(sizes), strides = Shape(strides),
            offset = offset - base.storage_offset()](Backward& ctx) {
             if (ctx.needs(0)) {
               Tensor g = ctx.grad();
               ctx.set(0, as_strided_scatter(g, zeros(sizes, g.options()), sizes, strides, offset + g.storage_offset()));
             }
             if (ctx.needs(1))
               ctx.set(1, as_strided(ctx.grad(), sizes, strides, offset + ctx.grad().storage_offset()));
           });
  }
  return out;
}

Tensor expand(const Tensor& t, Ints sizes) {
  const int64_t extra = static_cast<int64_t>(sizes.size()) - t.dim();
  NORCH_CHECK(extra >= 0, "expand: the number of sizes provided (", sizes.size(),
              ") must be greater or equal to the number of dimensions in the tensor (", t.dim(), ")");
  Shape shape(sizes), strides(sizes.size());
  for (int64_t i = 0; i < static_cast<int64_t>(sizes.size()); ++i) {
    const int64_t own = i < extra ? 1 : t.sizes()[i - extra];
    if (shape[i] == -1 && i >= extra) shape[i] = own;
    NORCH_CHECK(shape[i] >= 0 && (own == 1 || own == shape[i]), "expand: The expanded size of the tensor (", shape[i],
                ") must match the existing size (", own, ") at non-singleton dimension ", i, ". Target sizes: ", sizes,
                ". Tensor sizes: ", t.sizes());
    strides[i] = i >= extra && own == shape[i] ? t.strides()[i - extra] : 0;
  }
  Tensor out = new_view(t, shape, strides, t.storage_offset());
  if (recording(t)) {
    // The engine sums the gradient to the input's shape.
    record("ExpandBackward0", {t}, {out}, [](Backward& ctx) { ctx.set(0, ctx.grad()); });
  }
  return out;
}

namespace {

/// Strides under which the memory of `t` has shape `sizes`; false if there are none.
bool view_strides(const Tensor& t, Ints sizes, Shape& strides) {
  strides = contiguous_strides(sizes);
  if (t.is_contiguous()) return true;
  // Walk both shapes from the inside: a run of the tensor's dims that lie one after another in memory may be cut anew.
  int64_t d = static_cast<int64_t>(sizes.size()) - 1;
  int64_t run_numel = 1, view_numel = 1;
  int64_t base_stride = t.dim() ? t.strides()[t.dim() - 1] : 1;
  for (int64_t i = t.dim() - 1; i >= 0; --i) {
    run_numel *= t.sizes()[i];
    const bool run_ends = i == 0 || (t.sizes()[i - 1] != 1 && t.strides()[i - 1] != run_numel * base_stride);
    if (!run_ends) continue;
    while (d >= 0 && (view_numel < run_numel || sizes[d] == 1)) {
      strides[d] = view_numel * base_stride;
      view_numel *= sizes[d];
      --d;
    }
    if (view_numel != run_numel) return false;
    if (i > 0) {
      base_stride = t.strides()[i - 1];
      run_numel = view_numel = 1;
    }
  }
  return d == -1;
}

}  // namespace

Tensor reshape(const Tensor& t, Ints sizes) {
  const Shape shape = infer_size(sizes, t.numel());
  Shape strides;
  if (!view_strides(t, shape, strides)) return reshape(t.clone(), shape);
  Tensor out = new_view(t, shape, strides, t.storage_offset());
  if (recording(t)) {
    record("ViewBackward0", {t}, {out},
           [from = Shape(t.sizes())](Backward& ctx) { ctx.set(0, reshape(ctx.grad(), from)); });
  }
  return out;
}

Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1) {
  dim0 = wrap_dim(dim0, t.dim());
  dim1 = wrap_dim(dim1, t.dim());
  Shape sizes(t.sizes()), strides(t.strides());
  if (t.dim() > 0) {
    std::swap(sizes[dim0], sizes[dim1]);
    std::swap(strides[dim0], strides[dim1]);
  }
  Tensor out = new_view(t, sizes, strides, t.storage_offset());
  if (recording(t)) {
    record("TransposeBackward0", {t}, {out},
           [dim0, dim1](Backward& ctx) { ctx.set(0, transpose(ctx.grad(), dim0, dim1)); });
  }
  return out;
}

}  // namespace norch
