#include "norch/ops/slice.h"

#include <algorithm>

#include "autograd/node.h"
#include "autograd/record_linear.h"
#include "norch/ops/binary.h"
#include "norch/ops/join.h"
#include "norch/ops/reduce.h"
#include "norch/ops/view.h"
#include "ops/parts.h"
#include "ops/view_ops.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::record_linear;
using autograd::recording;

// ---- one part

Tensor select(const Tensor& t, int64_t dim, int64_t index) {
  NORCH_CHECK_INDEX(t.dim() > 0, "select() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim(dim, t.dim());
  const int64_t size = t.sizes()[dim];
  NORCH_CHECK_INDEX(index >= -size && index < size, "select(): index ", index, " out of range for tensor of size ",
                    t.sizes(), " at dimension ", dim);
  if (index < 0) index += size;
  Shape sizes(t.sizes()), strides(t.strides());
  const int64_t offset = t.storage_offset() + index * strides[dim];
  sizes.erase(dim);
  strides.erase(dim);
  Tensor out = new_view(t, sizes, strides, offset);
  if (recording(t)) {
    record_linear("SelectBackward0", {t}, {out}, [from = Shape(t.sizes()), dim, index](Backward& ctx) {
      ctx.set(0, into_zeros("SelectBackwardBackward0", ctx.grad(), from,
                            [dim, index](const Tensor& x) { return select(x, dim, index); }));
    });
  }
  return out;
}

Tensor slice(const Tensor& t, int64_t dim, std::optional<int64_t> start_, std::optional<int64_t> end_, int64_t step) {
  NORCH_CHECK_INDEX(t.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim(dim, t.dim());
  NORCH_CHECK_VALUE(step > 0, "step must be greater than zero");
  const int64_t size = t.sizes()[dim];
  auto clip = [size](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
  const int64_t start = clip(start_.value_or(0)), end = std::max(start, clip(end_.value_or(size)));
  Shape sizes(t.sizes()), strides(t.strides());
  const int64_t length = end - start;
  sizes[dim] = length / step + (length % step != 0);
  const int64_t offset = t.storage_offset() + start * strides[dim];
  if (sizes[dim] > 1)
    strides[dim] *= step;
  else if (__builtin_mul_overflow(strides[dim], step, &strides[dim]))
    strides[dim] = 1;  // never stepped over
  Tensor out = new_view(t, sizes, strides, offset);
  if (recording(t)) {
    record_linear("SliceBackward0", {t}, {out}, [from = Shape(t.sizes()), dim, start, end, step](Backward& ctx) {
      ctx.set(0, into_zeros("SliceBackwardBackward0", ctx.grad(), from,
                            [=](const Tensor& x) { return slice(x, dim, start, end, step); }));
    });
  }
  return out;
}

Tensor narrow(const Tensor& t, int64_t dim, int64_t start, int64_t length) {
  NORCH_CHECK(t.dim() > 0, "narrow() cannot be applied to a 0-dim tensor.");
  NORCH_CHECK(length >= 0, "narrow(): length must be non-negative.");
  dim = wrap_dim(dim, t.dim());
  const int64_t size = t.sizes()[dim];
  NORCH_CHECK_INDEX(start >= -size && start <= size, "start out of range (expected to be in range of [", -size, ", ",
                    size, "], but got ", start, ")");
  if (start < 0) start += size;
  NORCH_CHECK(length <= size - start, "start (", start, ") + length (", length, ") exceeds dimension size (", size,
              ").");
  return slice(t, dim, start, start + length, 1);
}

Tensor diagonal(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = wrap_dim(dim1, t.dim());
  dim2 = wrap_dim(dim2, t.dim());
  NORCH_CHECK(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  const int64_t rows = t.sizes()[dim1], columns = t.sizes()[dim2];
  int64_t length = 0, start = t.storage_offset();
  if (offset >= 0 ? offset < columns : offset > -rows) {
    length = offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns);
    if (length > 0) start += offset >= 0 ? offset * t.strides()[dim2] : -offset * t.strides()[dim1];
  }
  Shape sizes(t.sizes()), strides(t.strides());
  sizes.push_back(length);
  strides.push_back(strides[dim1] + strides[dim2]);
  for (int64_t d : {std::max(dim1, dim2), std::min(dim1, dim2)}) {
    sizes.erase(d);
    strides.erase(d);
  }
  Tensor out = new_view(t, sizes, strides, start);
  if (recording(t)) {
    record_linear("DiagonalBackward0", {t}, {out}, [from = Shape(t.sizes()), offset, dim1, dim2](Backward& ctx) {
      ctx.set(0, into_zeros("DiagonalBackwardBackward0", ctx.grad(), from,
                            [=](const Tensor& x) { return diagonal(x, offset, dim1, dim2); }));
    });
  }
  return out;
}

namespace {

/// Adds up the windows of unfold. Every size/step-th window does not overlap, so those are added together.
Tensor unfold_backward(const Tensor& g, Ints sizes, int64_t dim, int64_t size, int64_t step) {
  Tensor out = zeros(sizes, g.options());
  if (sizes.empty()) {
    out = sum_to_size(reshape(g, {-1}), {});
  } else if (size > 0) {
    autograd::NoGrad off;
    const int64_t windows = g.sizes()[dim], rounds = std::min((size + step - 1) / step, windows);
    for (int64_t r = 0; r < rounds; ++r)
      add_(unfold(slice(out, dim, r * step), dim, size, rounds * step), slice(g, dim, r, {}, rounds));
  }
  if (recording(g)) {
    record("UnfoldBackwardBackward0", {g}, {out},
           [dim, size, step](Backward& ctx) { ctx.set(0, unfold(ctx.grad(), dim, size, step)); });
  }
  return out;
}

}  // namespace

Tensor unfold(const Tensor& t, int64_t dim, int64_t size, int64_t step) {
  dim = wrap_dim(dim, t.dim());
  const int64_t length = t.dim() ? t.sizes()[dim] : 1, stride = t.dim() ? t.strides()[dim] : 1;
  NORCH_CHECK(size >= 0, "unfold: size is ", size, " but must be >= 0");
  NORCH_CHECK(size <= length, "maximum size for tensor at dimension ", dim, " is ", length, " but size is ", size);
  NORCH_CHECK(step > 0, "step is ", step, " but must be > 0");
  Shape sizes(t.sizes()), strides(t.strides());
  sizes.push_back(size);
  strides.push_back(stride);
  if (t.dim() > 0) {
    sizes[dim] = (length - size) / step + 1;
    if (__builtin_mul_overflow(stride, step, &strides[dim])) strides[dim] = 1;  // a single window
  }
  Tensor out = new_view(t, sizes, strides, t.storage_offset());
  if (recording(t)) {
    record_linear("UnfoldBackward0", {t}, {out}, [from = Shape(t.sizes()), dim, size, step](Backward& ctx) {
      ctx.set(0, unfold_backward(ctx.grad(), from, dim, size, step));
    });
  }
  return out;
}

// ---- several parts

namespace {

void mark_multi_output(const Tensor& part) {
  if (part.impl()->meta && part.impl()->meta->view_kind == autograd::ViewKind::Ordinary)
    part.impl()->meta->view_kind = autograd::ViewKind::MultiOutput;
}

TensorList split_into(const char* name, const Tensor& t, Ints lengths, int64_t dim) {
  TensorList out;
  out.reserve(lengths.size());
  Shape sizes(t.sizes());
  int64_t offset = t.storage_offset();
  for (int64_t n : lengths) {
    sizes[dim] = n;
    out.push_back(new_view(t, sizes, t.strides(), offset));
    mark_multi_output(out.back());
    offset += n * t.strides()[dim];
  }
  if (recording(t)) {
    record_linear(name, {t}, out, [dim](Backward& ctx) {
      TensorList grads;
      for (size_t i = 0; i < ctx.num_grads(); ++i) grads.push_back(ctx.grad_or_zeros(i));
      const Tensor whole = whole_of(grads, dim);
      ctx.set(0, whole.defined() ? whole : cat(grads, dim));
    });
  }
  return out;
}

}  // namespace

TensorList split(const Tensor& t, int64_t split_size, int64_t dim) {
  NORCH_CHECK(t.dim() > 0, "split expects at least a 1-dimensional tensor");
  NORCH_CHECK(split_size >= 0, "split expects split_size be non-negative, but got split_size=", split_size);
  dim = wrap_dim(dim, t.dim());
  const int64_t size = t.sizes()[dim];
  NORCH_CHECK(split_size > 0 || size == 0, "split_size can only be 0 if dimension size is 0, but got dimension size of ",
              size);
  std::vector<int64_t> lengths;
  for (int64_t at = 0; at < size; at += std::min(split_size, size - at))
    lengths.push_back(std::min(split_size, size - at));
  if (lengths.empty()) lengths.push_back(0);
  return split_into("SplitBackward0", t, lengths, dim);
}

TensorList split(const Tensor& t, Ints split_sizes, int64_t dim) {
  NORCH_CHECK(t.dim() > 0, "split expects at least a 1-dimensional tensor");
  dim = wrap_dim(dim, t.dim());
  int64_t total = 0;
  bool fits = true;
  for (int64_t n : split_sizes) {
    NORCH_CHECK(n >= 0, "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=",
                split_sizes);
    fits &= !__builtin_add_overflow(total, n, &total);
  }
  NORCH_CHECK(fits && total == t.sizes()[dim], "split_with_sizes expects split_sizes to sum exactly to ",
              t.sizes()[dim], " (input tensor's size at dimension ", dim, "), but got split_sizes=", split_sizes);
  return split_into("SplitWithSizesBackward0", t, split_sizes, dim);
}

TensorList chunk(const Tensor& t, int64_t chunks, int64_t dim) {
  NORCH_CHECK(t.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  NORCH_CHECK(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  dim = wrap_dim(dim, t.dim());
  const int64_t size = t.sizes()[dim];
  const int64_t each = size / chunks + (size % chunks != 0);
  if (size > 0) return split(t, each, dim);
  NORCH_CHECK(chunks <= (int64_t{1} << 20), "chunk: ", chunks, " parts of an empty dim are too many");
  return split(t, std::vector<int64_t>(static_cast<size_t>(chunks), 0), dim);
}

TensorList tensor_split(const Tensor& t, int64_t sections, int64_t dim) {
  NORCH_CHECK(t.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim(dim, t.dim());
  NORCH_CHECK(sections > 0, "number of sections must be larger than 0, got ", sections);
  const int64_t size = t.sizes()[dim], each = size / sections, longer = size % sections;
  NORCH_CHECK(sections <= std::max(size, int64_t{1} << 20), "tensor_split: ", sections, " sections of a dim of size ",
              size, " are too many");
  TensorList out;
  int64_t at = 0;
  for (int64_t i = 0; i < sections; ++i) {
    const int64_t n = each + (i < longer);
    out.push_back(slice(t, dim, at, at + n));
    at += n;
  }
  return out;
}

TensorList tensor_split(const Tensor& t, Ints indices, int64_t dim) {
  NORCH_CHECK(t.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim(dim, t.dim());
  TensorList out;
  int64_t at = 0;
  for (int64_t i : indices) {
    out.push_back(slice(t, dim, at, i));
    at = i;
  }
  out.push_back(slice(t, dim, at));
  return out;
}

namespace {

/// The dim that hsplit, vsplit or dsplit cuts.
int64_t named_split_dim(const char* op, const Tensor& t, int64_t min_dims, int64_t dim) {
  NORCH_CHECK(t.dim() >= min_dims, op, " requires a tensor with at least ", min_dims,
              " dimension(s), but got a tensor with ", t.dim(), " dimensions!");
  return t.dim() == 1 ? 0 : dim;
}

TensorList equal_split(const char* op, const Tensor& t, int64_t sections, int64_t dim) {
  NORCH_CHECK(sections > 0 && t.sizes()[dim] % sections == 0, op, " attempted to split along dimension ",
              dim, ", but the size of the dimension ", t.sizes()[dim], " is not divisible by the split_size ", sections,
              "!");
  return tensor_split(t, sections, dim);
}

}  // namespace

TensorList hsplit(const Tensor& t, int64_t sections) {
  return equal_split("hsplit", t, sections, named_split_dim("hsplit", t, 1, 1));
}
TensorList hsplit(const Tensor& t, Ints indices) { return tensor_split(t, indices, named_split_dim("hsplit", t, 1, 1)); }
TensorList vsplit(const Tensor& t, int64_t sections) {
  return equal_split("vsplit", t, sections, named_split_dim("vsplit", t, 2, 0));
}
TensorList vsplit(const Tensor& t, Ints indices) { return tensor_split(t, indices, named_split_dim("vsplit", t, 2, 0)); }
TensorList dsplit(const Tensor& t, int64_t sections) {
  return equal_split("dsplit", t, sections, named_split_dim("dsplit", t, 3, 2));
}
TensorList dsplit(const Tensor& t, Ints indices) { return tensor_split(t, indices, named_split_dim("dsplit", t, 3, 2)); }

TensorList unbind(const Tensor& t, int64_t dim) {
  NORCH_CHECK_INDEX(t.dim() > 0, "Dimension specified as ", dim, " but tensor has no dimensions");
  dim = wrap_dim(dim, t.dim());
  Shape sizes(t.sizes()), strides(t.strides());
  const int64_t n = sizes[dim], stride = strides[dim];
  sizes.erase(dim);
  strides.erase(dim);
  TensorList out;
  out.reserve(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    out.push_back(new_view(t, sizes, strides, t.storage_offset() + i * stride));
    mark_multi_output(out.back());
  }
  if (n > 0 && recording(t)) {
    record_linear("UnbindBackward0", {t}, out, [dim](Backward& ctx) {
      TensorList grads;
      for (size_t i = 0; i < ctx.num_grads(); ++i) grads.push_back(ctx.grad_or_zeros(i));
      const Tensor whole = whole_of(grads, dim, true);
      ctx.set(0, whole.defined() ? whole : stack(grads, dim));
    });
  }
  return out;
}

// ---- a copy with a part replaced

namespace {

template <class Part>
Tensor replace_part(const char* op, const char* name, const Tensor& t, const Tensor& src, Part part) {
  const Tensor place = part(t.detach());
  NORCH_CHECK(src.sizes() == place.sizes(), op, ": expected src to have a size equal to the slice of self. src size = ",
              src.sizes(), ", slice size = ", place.sizes());
  NORCH_CHECK(src.device() == t.device(), op, ": Expected all tensors to be on the same device, but found at least two "
              "devices, ", t.device(), " and ", src.device());
  Tensor out = new_tensor(t.sizes(), t.dtype(), t.device());
  copy_into(out, t);
  {
    autograd::NoGrad off;
    copy_into(part(out), src);
  }
  if (recording(t, src)) {
    record(name, {t, src}, {out}, [op, name, part, from = Shape(src.sizes())](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, replace_part(op, name, ctx.grad(), zeros(from, ctx.grad().options()), part));
      if (ctx.needs(1)) ctx.set(1, part(ctx.grad()));
    });
  }
  return out;
}

}  // namespace

Tensor select_scatter(const Tensor& t, const Tensor& src, int64_t dim, int64_t index) {
  return replace_part("select_scatter", "SelectScatterBackward0", t, src,
                      [=](const Tensor& x) { return select(x, dim, index); });
}
Tensor slice_scatter(const Tensor& t, const Tensor& src, int64_t dim, std::optional<int64_t> start,
                     std::optional<int64_t> end, int64_t step) {
  return replace_part("slice_scatter", "SliceScatterBackward0", t, src,
                      [=](const Tensor& x) { return slice(x, dim, start, end, step); });
}
Tensor diagonal_scatter(const Tensor& t, const Tensor& src, int64_t offset, int64_t dim1, int64_t dim2) {
  return replace_part("diagonal_scatter", "DiagonalScatterBackward0", t, src,
                      [=](const Tensor& x) { return diagonal(x, offset, dim1, dim2); });
}

}  // namespace norch
