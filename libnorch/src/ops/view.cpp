#include "norch/ops/complex.h"
#include "norch/ops/view.h"

#include <algorithm>

#include "autograd/node.h"
#include "autograd/record_linear.h"
#include "ops/view_ops.h"

namespace norch {

using autograd::Backward;
using autograd::record_linear;
using autograd::recording;

// ---- the same elements under another shape

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

namespace {

/// A view with the same elements in the same order.
Tensor reshaped(const char* name, const Tensor& t, Ints sizes, Ints strides) {
  Tensor out = new_view(t, sizes, strides, t.storage_offset());
  if (recording(t))
    record_linear(name, {t}, {out}, [from = Shape(t.sizes())](Backward& ctx) { ctx.set(0, reshape(ctx.grad(), from)); });
  return out;
}

}  // namespace

Tensor view(const Tensor& t, Ints sizes) {
  const Shape shape = infer_size(sizes, t.numel());
  Shape strides;
  NORCH_CHECK(view_strides(t, shape, strides), "view size is not compatible with input tensor's size and stride (at "
              "least one dimension spans across two contiguous subspaces). Use .reshape(...) instead. (view: shape ",
              t.sizes(), " with strides ", t.strides(), " as ", shape, ")");
  return reshaped("ViewBackward0", t, shape, strides);
}

Tensor reshape(const Tensor& t, Ints sizes) {
  const Shape shape = infer_size(sizes, t.numel());
  Shape strides;
  if (view_strides(t, shape, strides)) return reshaped("ViewBackward0", t, shape, strides);
  // The copy is nobody's base: its new shape counts as its own, not as a view.
  Tensor out = new_tensor(t.sizes(), t.dtype(), t.device());
  copy_into(out, t);
  out.impl()->sizes = shape;
  out.impl()->strides = contiguous_strides(shape);
  if (recording(t)) {
    record_linear("UnsafeViewBackward0", {t}, {out},
           [from = Shape(t.sizes())](Backward& ctx) { ctx.set(0, reshape(ctx.grad(), from)); });
  }
  return out;
}

Tensor view_dtype(const Tensor& t, DType dtype) {
  if (dtype == t.dtype()) return view(t, t.sizes());
  const int64_t from = static_cast<int64_t>(t.itemsize()), to = static_cast<int64_t>(itemsize(dtype));
  Shape sizes(t.sizes()), strides(t.strides());
  int64_t offset = t.storage_offset();
  if (from != to) {
    NORCH_CHECK(t.dim() > 0, "self.dim() cannot be 0 to view ", t.dtype(), " as ", dtype, " (different element sizes)");
    NORCH_CHECK(strides.back() == 1 || t.numel() == 0, "self.stride(-1) must be 1 to view ", t.dtype(), " as ", dtype,
                " (different element sizes), but got ", strides.back());
  }
  if (from > to) {
    const int64_t ratio = from / to;
    NORCH_CHECK(!__builtin_mul_overflow(sizes.back(), ratio, &sizes.back()), "view: the last dim overflows");
    offset *= ratio;
    for (size_t d = 0; d + 1 < strides.size(); ++d) strides[d] *= ratio;
  } else if (from < to) {
    const int64_t ratio = to / from;
    NORCH_CHECK(sizes.back() % ratio == 0, "self.size(-1) must be divisible by ", ratio, " to view ", t.dtype(), " as ",
                dtype, " (different element sizes), but got ", sizes.back());
    NORCH_CHECK(offset % ratio == 0, "self.storage_offset() must be divisible by ", ratio, " to view ", t.dtype(),
                " as ", dtype, " (different element sizes), but got ", offset);
    sizes.back() /= ratio;
    offset /= ratio;
    for (size_t d = 0; d + 1 < strides.size(); ++d) {
      NORCH_CHECK(strides[d] % ratio == 0 || sizes[d] <= 1, "self.stride(", d, ") must be divisible by ", ratio,
                  " to view ", t.dtype(), " as ", dtype, " (different element sizes), but got ", strides[d]);
      strides[d] /= ratio;
    }
  }
  return Tensor(Ref<TensorImpl>(new TensorImpl(t.storage(), sizes, strides, offset, dtype)));
}

Tensor view_as(const Tensor& t, const Tensor& other) { return view(t, other.sizes()); }
Tensor reshape_as(const Tensor& t, const Tensor& other) { return reshape(t, other.sizes()); }

Tensor flatten(const Tensor& t, int64_t start_dim, int64_t end_dim) {
  start_dim = wrap_dim(start_dim, t.dim(), "flatten");
  end_dim = wrap_dim(end_dim, t.dim(), "flatten");
  NORCH_CHECK(start_dim <= end_dim, "flatten() has invalid args: start_dim cannot come after end_dim");
  if (t.dim() == 0) return reshape(t, {1});
  if (start_dim == end_dim) return t;
  Shape sizes(t.sizes().slice(0, start_dim));
  sizes.push_back(numel_of(t.sizes().slice(start_dim, end_dim - start_dim + 1)));
  for (int64_t d = end_dim + 1; d < t.dim(); ++d) sizes.push_back(t.sizes()[d]);
  return reshape(t, sizes);
}

Tensor unflatten(const Tensor& t, int64_t dim, Ints sizes) {
  dim = wrap_dim(dim, t.dim(), "unflatten");
  NORCH_CHECK(!sizes.empty(), "unflatten: sizes must be non-empty");
  const int64_t size = t.dim() ? t.sizes()[dim] : 1;
  Shape part(sizes);
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == -1) {
      NORCH_CHECK(unknown < 0, "unflatten: only one dimension can be inferred, got sizes ", sizes);
      unknown = static_cast<int64_t>(i);
    } else {
      NORCH_CHECK(part[i] >= 0 && !__builtin_mul_overflow(known, part[i], &known), "unflatten: invalid sizes ", sizes);
    }
  }
  if (unknown >= 0 && known > 0 && size % known == 0) {
    part[unknown] = size / known;
    known = size;
  }
  NORCH_CHECK(known == size && (unknown < 0 || part[unknown] >= 0), "unflatten: Provided sizes ", sizes,
              " don't multiply up to the size of dim ", dim, " (", size, ") in the input tensor");
  Shape out(t.sizes().slice(0, dim));
  for (int64_t s : part) out.push_back(s);
  for (int64_t d = dim + 1; d < t.dim(); ++d) out.push_back(t.sizes()[d]);
  return view(t, out);
}

Tensor ravel(const Tensor& t) { return reshape(t.contiguous(), {-1}); }

// ---- repeated elements

Tensor expand(const Tensor& t, Ints sizes) {
  const int64_t extra = static_cast<int64_t>(sizes.size()) - t.dim();
  NORCH_CHECK(extra >= 0, "expand: the number of sizes provided (", sizes.size(),
              ") must be greater or equal to the number of dimensions in the tensor (", t.dim(), ")");
  Shape shape(sizes), strides(sizes.size());
  for (int64_t i = 0; i < static_cast<int64_t>(sizes.size()); ++i) {
    const int64_t own = i < extra ? 1 : t.sizes()[i - extra];
    if (shape[i] == -1 && i >= extra) shape[i] = own;
    NORCH_CHECK(shape[i] >= 0, "expand: The expanded size of the tensor (", shape[i],
                ") isn't allowed in a leading, non-existing dimension ", i);
    NORCH_CHECK(own == 1 || own == shape[i], "The expanded size of the tensor (", shape[i],
                ") must match the existing size (", own, ") at non-singleton dimension ", i, ".  Target sizes: ", sizes,
                ".  Tensor sizes: ", t.sizes());
    strides[i] = i >= extra && own == shape[i] ? t.strides()[i - extra] : 0;
  }
  numel_of(shape, "expand");
  Tensor out = new_view(t, shape, strides, t.storage_offset());
  if (recording(t)) {
    // The engine sums the gradient to the input's shape.
    record_linear("ExpandBackward0", {t}, {out}, [](Backward& ctx) { ctx.set(0, ctx.grad()); });
  }
  return out;
}

Tensor expand_as(const Tensor& t, const Tensor& other) { return expand(t, other.sizes()); }
Tensor broadcast_to(const Tensor& t, Ints sizes) { return expand(t, sizes); }

TensorList broadcast_tensors(const TensorList& tensors) {
  TensorList out;
  Shape shape;
  for (const Tensor& t : tensors) {
    NORCH_CHECK(t.defined(), "broadcast_tensors: a tensor is undefined");
    shape = broadcast_shapes(shape, t.sizes(), "broadcast_tensors");
  }
  out.reserve(tensors.size());
  for (const Tensor& t : tensors) out.push_back(expand(t, shape));
  return out;
}

// ---- dims in another order

namespace {

Tensor transposed(const char* node, const Tensor& t, int64_t dim0, int64_t dim1) {
  dim0 = wrap_dim(dim0, t.dim());
  dim1 = wrap_dim(dim1, t.dim());
  Shape sizes(t.sizes()), strides(t.strides());
  if (t.dim() > 0) {
    std::swap(sizes[dim0], sizes[dim1]);
    std::swap(strides[dim0], strides[dim1]);
  }
  Tensor out = new_view(t, sizes, strides, t.storage_offset());
  if (recording(t)) {
    record_linear(node, {t}, {out}, [dim0, dim1](Backward& ctx) { ctx.set(0, transpose(ctx.grad(), dim0, dim1)); });
  }
  return out;
}

}  // namespace

Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1) { return transposed("TransposeBackward0", t, dim0, dim1); }

Tensor t(const Tensor& t) {
  NORCH_CHECK(t.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", t.dim(), "D");
  return transposed("TBackward0", t, 0, t.dim() < 2 ? 0 : 1);
}

Tensor permute(const Tensor& t, Ints dims) {
  const size_t n = static_cast<size_t>(t.dim());
  NORCH_CHECK(dims.size() == n, "permute: number of dimensions in the tensor input does not match the length of the "
              "desired ordering of dimensions i.e. input.dim() = ", n, " is not equal to len(dims) = ", dims.size());
  Shape sizes(n), strides(n), inverse(n);
  uint64_t seen = 0;
  for (size_t i = 0; i < n; ++i) {
    const int64_t d = wrap_dim(dims[i], t.dim());
    NORCH_CHECK(!((seen >> d) & 1), "permute(): duplicate dims are not allowed.");
    seen |= uint64_t{1} << d;
    sizes[i] = t.sizes()[d];
    strides[i] = t.strides()[d];
    inverse[d] = static_cast<int64_t>(i);
  }
  Tensor out = new_view(t, sizes, strides, t.storage_offset());
  if (recording(t)) {
    record_linear("PermuteBackward0", {t}, {out},
           [inverse](Backward& ctx) { ctx.set(0, permute(ctx.grad(), inverse)); });
  }
  return out;
}

Tensor movedim(const Tensor& t, Ints source, Ints destination) {
  NORCH_CHECK(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", source,
              " dims) should contain the same number of dims as destination (", destination, " dims)");
  if (t.dim() == 0) {
    for (size_t i = 0; i < source.size(); ++i) wrap_dim(source[i], 0), wrap_dim(destination[i], 0);
    return permute(t, {});
  }
  Shape order(static_cast<size_t>(t.dim()), -1);
  uint64_t moved = 0, filled = 0;
  for (size_t i = 0; i < source.size(); ++i) {
    const int64_t from = wrap_dim(source[i], t.dim()), to = wrap_dim(destination[i], t.dim());
    NORCH_CHECK(!((moved >> from) & 1), "movedim: repeated dim in `source` (", source, ")");
    NORCH_CHECK(!((filled >> to) & 1), "movedim: repeated dim in `destination` (", destination, ")");
    moved |= uint64_t{1} << from;
    filled |= uint64_t{1} << to;
    order[to] = from;
  }
  int64_t next = 0;
  for (int64_t& d : order) {
    if (d >= 0) continue;
    while ((moved >> next) & 1) ++next;
    d = next++;
  }
  return permute(t, order);
}

Tensor numpy_T(const Tensor& t) {
  Shape dims(static_cast<size_t>(t.dim()));
  for (int64_t d = 0; d < t.dim(); ++d) dims[d] = t.dim() - 1 - d;
  return permute(t, dims);
}

Tensor matrix_T(const Tensor& t) {
  if (t.dim() == 0) return t;
  NORCH_CHECK(t.dim() >= 2, "tensor.mT is only supported on matrices or batches of matrices. Got ", t.dim(),
              "-D tensor.");
  return transpose(t, -2, -1);
}

Tensor matrix_H(const Tensor& t) {
  NORCH_CHECK(t.dim() == 0 || t.dim() == 2, "tensor.H is only supported on matrices (2-D tensors). Got ", t.dim(),
              "-D tensor.");
  return conj(transpose(t, 0, t.dim() == 2 ? 1 : 0));
}

Tensor adjoint(const Tensor& t) {
  if (t.dim() == 0) return conj(t);
  NORCH_CHECK(t.dim() >= 2, "tensor.adjoint() is only supported on matrices or batches of matrices. Got ", t.dim(),
              "-D tensor.");
  return conj(transpose(t, -2, -1));
}

// ---- dims of size 1

namespace {

Tensor drop_dims(const char* name, const Tensor& t, uint64_t dims) {
  Shape sizes, strides;
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (((dims >> d) & 1) && t.sizes()[d] == 1) continue;
    sizes.push_back(t.sizes()[d]);
    strides.push_back(t.strides()[d]);
  }
  return reshaped(name, t, sizes, strides);
}

}  // namespace

Tensor squeeze(const Tensor& t) { return drop_dims("SqueezeBackward0", t, ~uint64_t{0}); }

Tensor squeeze(const Tensor& t, int64_t dim) {
  return drop_dims("SqueezeBackward1", t, uint64_t{1} << wrap_dim(dim, t.dim()));
}

Tensor squeeze(const Tensor& t, Ints dims) {
  uint64_t chosen = 0;
  for (int64_t d : dims) {
    const uint64_t bit = uint64_t{1} << wrap_dim(d, t.dim());
    NORCH_CHECK(!(chosen & bit), "squeeze: dim ", d, " appears multiple times in the list of dims");
    chosen |= bit;
  }
  return drop_dims(dims.size() == 1 ? "SqueezeBackward1" : "SqueezeBackward2", t, chosen);
}

Tensor unsqueeze(const Tensor& t, int64_t dim) {
  dim = wrap_dim(dim, t.dim() + 1);
  Shape sizes(t.sizes()), strides(t.strides());
  const int64_t stride = dim < t.dim() ? sizes[dim] * strides[dim] : 1;
  sizes.insert(dim, 1);
  strides.insert(dim, stride);
  return reshaped("UnsqueezeBackward0", t, sizes, strides);
}

Tensor atleast_1d(const Tensor& t) { return t.dim() >= 1 ? t : reshape(t, {1}); }
Tensor atleast_2d(const Tensor& t) {
  return t.dim() >= 2 ? t : t.dim() == 0 ? reshape(t, {1, 1}) : unsqueeze(t, 0);
}
Tensor atleast_3d(const Tensor& t) {
  if (t.dim() >= 3) return t;
  if (t.dim() == 0) return reshape(t, {1, 1, 1});
  return t.dim() == 1 ? unsqueeze(unsqueeze(t, 0), -1) : unsqueeze(t, -1);
}

}  // namespace norch
