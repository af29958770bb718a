#include "autograd/sparse_grad.h"

#include <algorithm>
#include <cmath>

#include "norch/ops.h"

namespace norch {

namespace {

const SparseParts& parts_of(const char* op, const Tensor& t) {
  const SparseParts* parts = sparse_parts(t);
  NORCH_CHECK(parts, op, ": expected a sparse tensor, got a dense one");
  return *parts;
}

/// The number of places that the coordinates tell apart.
int64_t places(const Tensor& t, const SparseParts& parts) {
  const int64_t dims = parts.indices.sizes()[0];
  int64_t n = 1;
  for (int64_t d = 0; d < dims; ++d) n *= t.sizes()[d];
  return n;
}

/// The coordinates as row numbers of the dense form, seen as [places, elements of one value].
Tensor row_numbers(const Tensor& t, const SparseParts& parts) {
  const int64_t dims = parts.indices.sizes()[0];
  if (dims == 0) return zeros({parts.values.sizes()[0]}, parts.indices.options());
  Tensor rows = select(parts.indices, 0, 0);
  for (int64_t d = 1; d < dims; ++d) rows = rows * Scalar(t.sizes()[d]) + select(parts.indices, 0, d);
  return rows;
}

Tensor as_rows(const Tensor& values) {
  const int64_t n = values.sizes()[0];
  return reshape(values, {n, n ? values.numel() / n : int64_t{1}});
}

}  // namespace

Tensor make_sparse(const Tensor& indices, const Tensor& values, Ints sizes, bool coalesced) {
  constexpr const char* op = "make_sparse";
  NORCH_CHECK(indices.dim() == 2 && indices.dtype() == DType::Int64, op, ": indices must be int64 of two dims, got ", indices);
  NORCH_CHECK(values.dim() >= 1 && values.sizes()[0] == indices.sizes()[1], op, ": ", indices.sizes()[1],
              " coordinates need as many values, got shape ", values.sizes());
  NORCH_CHECK(indices.device() == values.device(), op, ": indices are on ", indices.device(), ", values on ", values.device());
  NORCH_CHECK(indices.sizes()[0] <= static_cast<int64_t>(sizes.size()), op, ": coordinates of ", indices.sizes()[0],
              " dims do not fit the shape ", sizes);
  Shape fitting;
  for (size_t d = 0; d < std::min<size_t>(indices.sizes()[0], sizes.size()); ++d) fitting.push_back(sizes[d]);
  for (int64_t d = 1; d < values.dim(); ++d) fitting.push_back(values.sizes()[d]);
  NORCH_CHECK(Ints(fitting) == sizes, op, ": coordinates ", indices.sizes(), " and values ", values.sizes(),
              " do not make a tensor of shape ", sizes);
  const Tensor filler = full({}, std::nan(""), values.options());
  const Shape strides(sizes.size(), 0);
  Tensor out(Ref<TensorImpl>(new TensorImpl(filler.storage(), sizes, strides, 0, values.dtype())));
  autograd::meta_of(out).sparse = std::make_shared<const SparseParts>(SparseParts{indices, values, coalesced});
  return out;
}

const SparseParts* sparse_parts(const Tensor& t) { return autograd::is_sparse(t) ? t.impl()->meta->sparse.get() : nullptr; }

Tensor coalesce(const Tensor& t) {
  const SparseParts& parts = parts_of("coalesce", t);
  if (parts.coalesced) return t;
  if (parts.values.sizes()[0] < 2) return make_sparse(parts.indices, parts.values, t.sizes(), true);
  auto [rows, inverse, counts] = unique(row_numbers(t, parts), true, false);
  Shape shape(parts.values.sizes());
  shape[0] = rows.sizes()[0];
  const Tensor values = index_add(zeros(shape, parts.values.options()), 0, inverse, parts.values);
  TensorList coordinates(static_cast<size_t>(parts.indices.sizes()[0]));
  for (size_t d = coordinates.size(); d-- > 0;) {
    const Scalar size(t.sizes()[d]);
    coordinates[d] = remainder(rows, Tensor::wrap(size));
    rows = floor_divide(rows, Tensor::wrap(size));
  }
  const Tensor indices = coordinates.empty() ? narrow(parts.indices, 1, 0, 1) : stack(coordinates);
  return make_sparse(indices, values, t.sizes(), true);
}

Tensor to_dense(const Tensor& t) {
  const SparseParts* parts = sparse_parts(t);
  if (!parts) return t;
  const Tensor rows = as_rows(parts->values);
  const Tensor empty = zeros({places(t, *parts), rows.sizes()[1]}, rows.options());
  return reshape(parts->values.numel() ? index_add(empty, 0, row_numbers(t, *parts), rows) : empty, t.sizes());
}

namespace autograd {

Tensor add_gradients(const Tensor& a, const Tensor& b) {
  const SparseParts *x = sparse_parts(a), *y = sparse_parts(b);
  if (!x || !y || x->indices.sizes()[0] != y->indices.sizes()[0]) return add(to_dense(a), to_dense(b));
  const Tensor both = make_sparse(cat({x->indices, y->indices}, 1), cat({x->values, y->values}, 0), a.sizes());
  // Sums of many gradients stay no larger than the dense tensor.
  return sparse_parts(both)->values.numel() > a.numel() ? coalesce(both) : both;
}

void add_sparse_(const Tensor& dense, const Tensor& sparse, const Scalar& alpha) {
  const SparseParts& parts = parts_of("add_sparse_", sparse);
  if (parts.values.numel() == 0) return;
  const Tensor rows = as_rows(parts.values), numbers = row_numbers(sparse, parts);
  if (dense.is_contiguous()) {
    index_add_(view(dense, {places(sparse, parts), rows.sizes()[1]}), 0, numbers, rows, alpha);
  } else {
    add_(dense, to_dense(sparse), alpha);
  }
}

Tensor own_copy(const Tensor& sparse, bool history) {
  const SparseParts& parts = parts_of("own_copy", sparse);
  const Tensor& v = parts.values;
  return make_sparse(parts.indices.clone(), history ? v.clone() : v.detach().clone(), sparse.sizes(), parts.coalesced);
}

}  // namespace autograd
}  // namespace norch
