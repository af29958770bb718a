#include "norch/ops/join.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string_view>

#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "core/channels_last.h"
#include "kernels/cpu/parallel.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/indexing.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/index_plan.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::record_linear;
using autograd::recording;

namespace {

void check_list(const char* op, const TensorList& tensors) {
  NORCH_CHECK_VALUE(!tensors.empty() || std::string_view(op) != "cat", op, "(): expected a non-empty list of Tensors");
  NORCH_CHECK(!tensors.empty(), op, " expects a non-empty TensorList");
  for (size_t i = 0; i < tensors.size(); ++i) {
    NORCH_CHECK(tensors[i].defined(), op, "(): tensor ", i, " is undefined");
    NORCH_CHECK(tensors[i].device() == tensors[0].device(), op, "(): Expected all tensors to be on the same device, but "
                "found at least two devices, ", tensors[0].device(), " and ", tensors[i].device());
  }
}

DType common_dtype(const TensorList& tensors) {
  DType type = tensors[0].dtype();
  for (const Tensor& t : tensors) type = promote_types(type, t.dtype());
  return type;
}

/// Copies `t` to places [at, at + n) of dim `dim` of `out`.
void place(const Tensor& out, const Tensor& t, Ints sizes, int64_t dim, int64_t at) {
  copy_into(raw_view(out, sizes, out.strides(), out.storage_offset() + at * out.strides()[dim]), t);
}

/// On the CPU, contiguous inputs are laid side by side in one pass over the result. False if that does not fit.
bool cat_rows(const Tensor& out, const TensorList& tensors, int64_t dim) {
  struct Part {
    const char* data;
    size_t bytes;  // of one row
  };
  const int64_t rows = numel_of(out.sizes().slice(0, dim));
  if (!out.is_cpu() || rows < 4) return false;
  std::vector<Part> parts;
  size_t row = 0;
  for (const Tensor& t : tensors) {
    if (t.numel() == 0) continue;
    const size_t bytes = static_cast<size_t>(t.numel() / rows) * t.itemsize();
    if (t.dtype() != out.dtype() || !t.is_contiguous() || bytes < 16) return false;
    parts.push_back({static_cast<const char*>(t.data_ptr()), bytes});
    row += bytes;
  }
  char* to = static_cast<char*>(out.data_ptr());
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 17) / static_cast<int64_t>(row + 1));
  kernels::cpu::parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    char* at = to + static_cast<size_t>(begin) * row;
    for (int64_t r = begin; r < end; ++r) {
      for (const Part& p : parts) {
        std::memcpy(at, p.data + static_cast<size_t>(r) * p.bytes, p.bytes);
        at += p.bytes;
      }
    }
  });
  return true;
}

bool skipped(const Tensor& t) { return t.dim() == 1 && t.numel() == 0; }

/// The format that all tensors with elements are in, contiguous if they differ.
MemoryFormat common_format(const TensorList& tensors) {
  MemoryFormat common = MemoryFormat::contiguous;
  for (const Tensor& t : tensors) {
    if (t.numel() == 0) continue;
    const MemoryFormat format = format_of(t);
    if (format == MemoryFormat::contiguous || (common != MemoryFormat::contiguous && format != common))
      return MemoryFormat::contiguous;
    common = format;
  }
  return common;
}

/// (N, C, ...) seen as (N, ..., C), which is row-major for a channels-last tensor.
Tensor channels_at_end(const Tensor& t) {
  Shape sizes(t.sizes()), strides(t.strides());
  for (int64_t d = 1; d + 1 < t.dim(); ++d) {
    sizes[d] = t.sizes()[d + 1];
    strides[d] = t.strides()[d + 1];
  }
  sizes[t.dim() - 1] = t.sizes()[1];
  strides[t.dim() - 1] = t.strides()[1];
  return raw_view(t, sizes, strides, t.storage_offset());
}

TensorList channels_at_end(const TensorList& tensors) {
  TensorList out;
  for (const Tensor& t : tensors) out.push_back(channels_at_end(t));
  return out;
}

}  // namespace

Tensor cat(const TensorList& tensors, int64_t dim) {
  NORCH_AUTOCAST(widest_cpu, cat, tensors, dim);
  check_list("cat", tensors);
  // A 1-d tensor without elements fits anything, so the first other one gives the shape.
  const Tensor* first = nullptr;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    NORCH_CHECK(t.dim() > 0, "zero-dimensional tensor (at position ", i, ") cannot be concatenated");
    if (!first && !skipped(t)) first = &t;
  }
  if (!first) {  // nothing to join along any dim
    first = &tensors[0];
    dim = 0;
  }
  dim = wrap_dim(dim, first->dim());
  Shape sizes(first->sizes());
  sizes[dim] = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (skipped(t)) continue;
    NORCH_CHECK(t.dim() == first->dim(), "Tensors must have same number of dimensions: got ", first->dim(), " and ",
                t.dim());
    for (int64_t d = 0; d < t.dim(); ++d)
      NORCH_CHECK(d == dim || t.sizes()[d] == sizes[d], "Sizes of tensors must match except in dimension ", dim,
                  ". Expected size ", sizes[d], " but got size ", t.sizes()[d], " for tensor number ", i,
                  " in the list.");
    NORCH_CHECK(!__builtin_add_overflow(sizes[dim], t.sizes()[dim], &sizes[dim]), "cat: dimension ", dim, " overflows");
  }
  const MemoryFormat format = common_format(tensors);
  Tensor out = new_in(format, sizes, common_dtype(tensors), first->device());
  int64_t at = 0;
  const bool done = out.numel() == 0 || (format == MemoryFormat::contiguous
                                             ? cat_rows(out, tensors, dim)
                                             : cat_rows(channels_at_end(out), channels_at_end(tensors),
                                                        dim == 0 ? 0 : dim == 1 ? out.dim() - 1 : dim - 1));
  for (size_t i = 0; !done && i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (t.numel() == 0) {
      at += skipped(t) ? 0 : t.sizes()[dim];
      continue;
    }
    place(out, t, t.sizes(), dim, at);
    at += t.sizes()[dim];
  }
  if (recording(tensors)) {
    std::vector<int64_t> lengths;
    lengths.reserve(tensors.size());
    for (const Tensor& t : tensors) lengths.push_back(skipped(t) && first->dim() > 1 ? -1 : t.sizes()[dim]);
    record_linear("CatBackward0", tensors, {out}, [dim, lengths](Backward& ctx) {
      int64_t from = 0;
      for (size_t i = 0; i < lengths.size(); ++i) {
        if (lengths[i] < 0) {
          if (ctx.needs(i)) ctx.set(i, zeros({0}, ctx.grad().options()));
          continue;
        }
        if (ctx.needs(i)) ctx.set(i, narrow(ctx.grad(), dim, from, lengths[i]));
        from += lengths[i];
      }
    });
  }
  return out;
}

Tensor stack(const TensorList& tensors, int64_t dim) {
  NORCH_AUTOCAST(widest_cpu, stack, tensors, dim);
  check_list("stack", tensors);
  const Shape each(tensors[0].sizes());
  dim = wrap_dim(dim, tensors[0].dim() + 1);
  for (size_t i = 1; i < tensors.size(); ++i)
    NORCH_CHECK(tensors[i].sizes() == Ints(each), "stack expects each tensor to be equal size, but got ", each,
                " at entry 0 and ", tensors[i].sizes(), " at entry ", i);
  Shape sizes(each), one(each);
  sizes.insert(dim, static_cast<int64_t>(tensors.size()));
  one.insert(dim, 1);
  Tensor out = new_tensor(sizes, common_dtype(tensors), tensors[0].device());
  for (size_t i = 0; i < tensors.size() && out.numel() > 0; ++i) {
    Shape strides(tensors[i].strides());
    strides.insert(dim, 0);
    place(out, raw_view(tensors[i], one, strides, tensors[i].storage_offset()), one, dim, static_cast<int64_t>(i));
  }
  if (recording(tensors)) {
    record_linear("StackBackward0", tensors, {out}, [dim, n = tensors.size()](Backward& ctx) {
      for (size_t i = 0; i < n; ++i)
        if (ctx.needs(i)) ctx.set(i, select(ctx.grad(), dim, static_cast<int64_t>(i)));
    });
  }
  return out;
}

Tensor hstack(const TensorList& tensors) {
  check_list("hstack", tensors);
  TensorList list;
  for (const Tensor& t : tensors) list.push_back(atleast_1d(t));
  return cat(list, list[0].dim() == 1 ? 0 : 1);
}

Tensor vstack(const TensorList& tensors) {
  check_list("vstack", tensors);
  TensorList list;
  for (const Tensor& t : tensors) list.push_back(atleast_2d(t));
  return cat(list, 0);
}

Tensor dstack(const TensorList& tensors) {
  check_list("dstack", tensors);
  TensorList list;
  for (const Tensor& t : tensors) list.push_back(atleast_3d(t));
  return cat(list, 2);
}

Tensor column_stack(const TensorList& tensors) {
  check_list("column_stack", tensors);
  TensorList list;
  for (const Tensor& t : tensors) list.push_back(t.dim() <= 1 ? reshape(t, {t.numel(), 1}) : t);
  return cat(list, 1);
}

Tensor block_diag(const TensorList& tensors) {
  check_list("block_diag", tensors);
  int64_t rows = 0, columns = 0;
  TensorList list;
  for (size_t i = 0; i < tensors.size(); ++i) {
    NORCH_CHECK(tensors[i].dim() <= 2, "block_diag: Input tensors must have 2 or fewer dimensions. Input ", i, " has ",
                tensors[i].dim(), " dimensions");
    list.push_back(atleast_2d(tensors[i]));
    rows += list.back().sizes()[0];
    columns += list.back().sizes()[1];
  }
  Tensor out = zeros({rows, columns}, TensorOptions(common_dtype(tensors)).device(tensors[0].device()));
  int64_t row = 0, column = 0;
  for (const Tensor& t : list) {
    if (t.numel() > 0)
      copy_into(raw_view(out, t.sizes(), out.strides(), row * columns + column), t);
    row += t.sizes()[0];
    column += t.sizes()[1];
  }
  if (recording(tensors)) {
    std::vector<Shape> shapes;
    for (const Tensor& t : list) shapes.emplace_back(t.sizes());
    record("BlockDiagBackward0", list, {out}, [shapes](Backward& ctx) {
      int64_t r = 0, c = 0;
      for (size_t i = 0; i < shapes.size(); ++i) {
        if (ctx.needs(i)) ctx.set(i, narrow(narrow(ctx.grad(), 0, r, shapes[i][0]), 1, c, shapes[i][1]));
        r += shapes[i][0];
        c += shapes[i][1];
      }
    });
  }
  return out;
}

// ---- tuples of elements

Tensor cartesian_prod(const TensorList& tensors) {
  check_list("cartesian_prod", tensors);
  for (const Tensor& t : tensors)
    NORCH_CHECK(t.dim() == 1, "cartesian_prod: Expect a 1D vector, but got shape ", t.sizes());
  if (tensors.size() == 1) return tensors[0];
  TensorList columns = meshgrid(tensors);
  for (Tensor& t : columns) t = flatten(t);
  return stack(columns, 1);
}

namespace {

/// How many ways there are to choose r of n. \throws Error if they would not fit in memory.
int64_t combination_count(int64_t n, int64_t r) {
  if (r > n) return 0;
  r = std::min(r, n - r);
  double rough = 1;
  for (int64_t i = 0; i < r && rough < 0x1p60; ++i) rough *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  NORCH_CHECK(rough < 0x1p60, "combinations: ", r, " of ", n, " elements make more combinations than fit in memory");
  int64_t count = 1;
  for (int64_t i = 0; i < r; ++i) {
    // count * (n - i) is a multiple of i + 1; dividing first what can be divided keeps the product small.
    const int64_t common = std::gcd(count, i + 1);
    count = count / common * ((n - i) / ((i + 1) / common));
  }
  return count;
}

}  // namespace

Tensor combinations(const Tensor& t, int64_t r, bool with_replacement) {
  NORCH_CHECK(t.dim() == 1, "combinations: Expect a 1D vector, but got shape ", t.sizes());
  NORCH_CHECK(r >= 0, "combinations: Expect a non-negative number, but got ", r);
  const int64_t n = t.numel();
  if (r == 0) return new_tensor({0}, t.dtype(), t.device());
  NORCH_CHECK(!with_replacement || r < int64_t{1} << 60, "combinations: ", r, " is too large a number of elements");
  const int64_t count = combination_count(with_replacement ? n + r - 1 : n, r);
  const Tensor index = new_tensor({count, r}, DType::Int64, kCPU);
  if (count > 0) {
    std::vector<int64_t> at(static_cast<size_t>(r), 0);
    if (!with_replacement) std::iota(at.begin(), at.end(), int64_t{0});
    int64_t* p = index.data<int64_t>();
    for (;;) {
      p = std::copy(at.begin(), at.end(), p);
      int64_t i = r - 1;
      while (i >= 0 && at[i] == (with_replacement ? n - 1 : n - r + i)) --i;
      if (i < 0) break;
      ++at[i];
      for (int64_t j = i + 1; j < r; ++j) at[j] = with_replacement ? at[i] : at[j - 1] + 1;
    }
  }
  return reshape(index_select(t, 0, flatten(index)), {count, r});
}

}  // namespace norch
