#include "ops/index_plan.h"

#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/nonzero.h"
#include "ops/dtype_views.h"
#include "ops/view_ops.h"

namespace norch {

using kernels::Along;

SavedIndex::SavedIndex(const IndexSpec& spec) : spec_(spec) {
  tensors_.reserve(spec.entries.size());
  for (IndexEntry& e : spec_.entries) {
    tensors_.push_back(autograd::save(e.index));
    e.index = {};
  }
}

IndexSpec SavedIndex::unpack(const autograd::Backward& ctx) const {
  IndexSpec spec = spec_;
  for (size_t i = 0; i < tensors_.size(); ++i) spec.entries[i].index = ctx.get(tensors_[i]);
  return spec;
}

Tensor raw_view(const Tensor& t, Ints sizes, Ints strides, int64_t offset) {
  return Tensor(Ref<TensorImpl>(new TensorImpl(t.storage(), sizes, strides, offset, t.dtype())));
}

Tensor prepare_index(const char* op, const Tensor& index, Device device) {
  NORCH_CHECK(index.dtype() == DType::Int64 || index.dtype() == DType::Int32, op,
                    "(): Expected dtype int32 or int64 for index, got ", index.dtype());
  NORCH_CHECK(index.device() == device || index.is_cpu(), op,
              ": indices should be either on cpu or on the same device as the indexed tensor (", device, "), got ",
              index.device());
  return index.to(device, DType::Int64);
}

namespace {

/// One index of dims that are one dim in memory.
struct Term {
  Tensor index;
  int64_t size, stride;
  int dim;
};

std::vector<Term> terms_of(const Tensor& t, const IndexSpec& spec) {
  std::vector<Term> terms;
  for (const IndexEntry& e : spec.entries) {
    const Ints sizes = t.sizes().slice(e.dim, e.ndims), strides = t.strides().slice(e.dim, e.ndims);
    if (e.ndims == 1) {
      terms.push_back({e.index, sizes[0], strides[0], static_cast<int>(e.dim)});
      continue;
    }
    const int64_t numel = numel_of(sizes);
    Shape joined;
    if (view_strides(raw_view(t, sizes, strides, 0), {numel}, joined)) {
      terms.push_back({e.index, numel, joined[0], static_cast<int>(e.dim)});
      continue;
    }
    // Places become coordinates, counted from the start.
    const Tensor flat = new_tensor(e.index.sizes(), DType::Int64, t.device());
    kernels::index_offsets(t.device(), make_plan({flat}, {e.index}),
                           Along{numel, 1, spec.negative, static_cast<int>(e.dim), spec.op}, false);
    const Tensor columns = new_tensor({flat.numel(), e.ndims}, DType::Int64, flat.device());
    kernels::unravel(flat.device(), columns, flat, sizes);
    Shape steps = contiguous_strides(flat.sizes());
    for (int64_t& s : steps) s *= e.ndims;
    for (int64_t d = 0; d < e.ndims; ++d)
      terms.push_back({raw_view(columns, flat.sizes(), steps, d), sizes[d], strides[d], static_cast<int>(e.dim + d)});
  }
  return terms;
}

Shape index_shape(const IndexSpec& spec) {
  Shape shape(spec.entries[0].index.sizes());
  bool fits = true;
  for (size_t k = 1; k < spec.entries.size() && fits; ++k) {
    const Ints other = spec.entries[k].index.sizes();
    if (shape == other) continue;
    const size_t n = std::max(shape.size(), other.size());
    Shape both(n);
    for (size_t i = 0; i < n; ++i) {
      const int64_t x = i < n - shape.size() ? 1 : shape[i - (n - shape.size())];
      const int64_t y = i < n - other.size() ? 1 : other[i - (n - other.size())];
      fits &= x == y || x == 1 || y == 1;
      both[i] = x == 1 ? y : x;
    }
    shape = both;
  }
  if (!fits) {
    std::string list;
    for (const IndexEntry& e : spec.entries) {
      if (!list.empty()) list += ", ";
      append(list, e.index.sizes());
    }
    NORCH_RAISE(IndexError, "shape mismatch: indexing tensors could not be broadcast together with shapes ", list);
  }
  return shape;
}

}  // namespace

IndexWalk index_walk(const Tensor& t, const IndexSpec& spec) {
  IndexWalk walk;
  const std::vector<IndexEntry>& entries = spec.entries;
  const Shape shape = index_shape(spec);
  std::vector<Term> terms = terms_of(t, spec);
  const int64_t item = static_cast<int64_t>(t.itemsize());
  if (terms.size() == 1) {
    // Contiguous, so that several dims of index are walked in row-major order.
    walk.index = terms[0].index.contiguous();
    walk.along = Along{terms[0].size, terms[0].stride * item, spec.negative, terms[0].dim, spec.op};
  } else {
    // All terms become one offset into the tensor's memory, in elements.
    walk.index = new_tensor(shape, DType::Int64, t.device());
    int64_t reach = 1;
    for (size_t k = 0; k < terms.size(); ++k) {
      const Term& term = terms[k];
      kernels::index_offsets(t.device(), make_plan({walk.index}, {term.index}),
                             Along{term.size, term.stride, spec.negative, term.dim, spec.op}, k > 0);
      reach += (std::max<int64_t>(term.size, 1) - 1) * term.stride;
    }
    walk.along = Along{reach, item, false, terms[0].dim, spec.op};
  }

  bool adjacent = true;
  for (size_t k = 1; k < entries.size(); ++k) adjacent &= entries[k].dim == entries[k - 1].dim + entries[k - 1].ndims;
  const Shape own = walk.index.strides();
  auto insert_index = [&] {
    for (size_t i = 0; i < shape.size(); ++i) {
      walk.sizes.push_back(shape[i]);
      walk.strides.push_back(0);
      walk.index_strides.push_back(own[i]);
    }
  };
  if (!adjacent) insert_index();
  size_t next = 0;
  for (int64_t d = 0; d < t.dim();) {
    if (next < entries.size() && entries[next].dim == d) {
      if (adjacent && next == 0) insert_index();
      d += entries[next++].ndims;
      continue;
    }
    walk.sizes.push_back(t.sizes()[d]);
    walk.strides.push_back(t.strides()[d]);
    walk.index_strides.push_back(0);
    ++d;
  }
  if (t.dim() == 0) insert_index();
  return walk;
}

IndexWalk along_dim_walk(const char* op, const Tensor& t, int64_t dim, const Tensor& index) {
  IndexWalk walk;
  walk.sizes = index.sizes();
  walk.index_strides = index.strides();
  walk.index = index;
  // A 0-d tensor counts as 1-d here, and so does a 0-d index.
  int64_t size = 1, stride = 1;
  if (t.dim() > 0) {
    size = t.sizes()[dim];
    stride = t.strides()[dim];
  }
  if (t.dim() > 0 && index.dim() > 0) {
    walk.strides = t.strides();
    walk.strides[dim] = 0;
  } else {
    walk.strides = Shape(walk.sizes.size(), 0);
  }
  walk.along = Along{size, stride * static_cast<int64_t>(t.itemsize()), false, static_cast<int>(dim), op};
  return walk;
}

Tensor run_gather(const Tensor& t, const IndexWalk& walk) {
  Tensor out = new_tensor(walk.sizes, t.dtype(), t.device());
  kernels::gather(t.device(),
                  make_plan({out}, {raw_view(t, walk.sizes, walk.strides, t.storage_offset()),
                                    raw_view(walk.index, walk.sizes, walk.index_strides, walk.index.storage_offset())}),
                  walk.along);
  return out;
}

void run_scatter(const Tensor& dst, const Tensor& src, const IndexWalk& walk, kernels::ScatterOp op) {
  if (numel_of(walk.sizes) == 0) return;
  autograd::NoGrad off;
  if (op != kernels::ScatterOp::Assign && is_wide_unsigned(dst.dtype()) && op != kernels::ScatterOp::Max &&
      op != kernels::ScatterOp::Min) {
    const DType twin = signed_twin(dst.dtype());
    return run_scatter(reinterpreted(dst, twin), reinterpreted(src, twin), walk, op);
  }
  if (op == kernels::ScatterOp::Add && dst.is_complex()) {
    // A sum is the sums of both parts.
    IndexWalk parts = walk;
    for (int64_t& s : parts.strides) s *= 2;
    for (int64_t which : {0, 1}) run_scatter(part_of(dst, which), part_of(src, which), parts, op);
    return;
  }
  Tensor index = raw_view(walk.index, walk.sizes, walk.index_strides, walk.index.storage_offset()), from = src;
  if (index.storage() == dst.storage()) index = index.clone();
  if (from.storage() == dst.storage()) from = from.clone();
  // Where indices repeat they count in row-major order: a source must not suggest another one to the plan.
  int repeating = 0;
  for (size_t d = 0; d < walk.sizes.size(); ++d) repeating += walk.strides[d] == 0 && walk.sizes[d] > 1;
  if (repeating > 1 && from.numel() > 1 && !(from.sizes() == Ints(walk.sizes) && from.is_contiguous())) {
    const Tensor full = new_tensor(walk.sizes, from.dtype(), from.device());
    copy_into(full, from);
    from = full;
  }
  int64_t slots = 1;
  for (int64_t d = 0; d < dst.dim(); ++d) slots += (std::max<int64_t>(dst.sizes()[d], 1) - 1) * dst.strides()[d];
  kernels::scatter(dst.device(),
                   make_plan({raw_view(dst, walk.sizes, walk.strides, dst.storage_offset())},
                             {from, index}),
                   walk.along, op, slots);
}

}  // namespace norch
