#include "norch/ops/segment.h"

#include <cmath>

#include "norch/shape.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/indexing.h"
#include "norch/ops/reduce.h"
#include "norch/ops/scan.h"
#include "norch/ops/slice.h"
#include "norch/ops/statistics.h"
#include "norch/ops/view.h"

namespace norch {

TensorList unravel_index(const Tensor& indices, Ints shape) {
  NORCH_CHECK_TYPE(is_integral(indices.dtype()), "unravel_index: expected 'indices' to be integer dtype, but got ",
                   indices.dtype());
  for (int64_t n : shape)
    NORCH_CHECK_VALUE(n >= 0, "unravel_index: 'shape' cannot have negative values, but got ", shape);
  const Tensor places = indices.to(kInt64);
  TensorList out(shape.size());
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    out[d] = remainder(floor_divide(places, Tensor::wrap(step)), Tensor::wrap(shape[d]));
    step *= shape[d];
  }
  return out;
}

namespace {

double neutral(const std::string& reduce) {
  if (reduce == "sum" || reduce == "mean") return 0;
  if (reduce == "prod") return 1;
  if (reduce == "max") return -INFINITY;
  NORCH_CHECK(reduce == "min", "segment_reduce: unsupported reduction given! reduce is one of sum, mean, max, min, prod, "
              "got ", reduce);
  return INFINITY;
}

}  // namespace

Tensor segment_reduce(const Tensor& data, const std::string& reduce, const Tensor& lengths, const Tensor& offsets,
                      int64_t axis, bool unsafe, std::optional<Scalar> initial) {
  constexpr const char* op = "segment_reduce";
  NORCH_CHECK_IMPLEMENTED(data.is_floating_point(), op, ": not implemented for ", data.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(lengths.defined() || offsets.defined(), op, ": Either lengths or offsets must be defined.");
  axis = wrap_dim(axis, data.dim(), op);
  const Tensor ends_of = lengths.defined() ? lengths : offsets;
  NORCH_CHECK(is_integral(ends_of.dtype()), op, ": expected lengths or offsets of an integer dtype, got ",
              ends_of.dtype());
  NORCH_CHECK(ends_of.dim() == axis + 1 && ends_of.sizes().slice(0, static_cast<size_t>(axis)) ==
                                               data.sizes().slice(0, static_cast<size_t>(axis)),
              op, ": Expected all dims of lengths or offsets up to axis=", axis, " to be those of data, got ",
              ends_of.sizes(), " and ", data.sizes());
  const int64_t length = data.size(axis), batch = numel_of(data.sizes().slice(0, static_cast<size_t>(axis)));
  const int64_t count = ends_of.size(-1) - (lengths.defined() ? 0 : 1);
  NORCH_CHECK(count >= 0, op, ": offsets must have at least one element along axis=", axis);
  // Where each segment ends, and how many elements it has: (batch, count).
  const Tensor list = reshape(ends_of.detach().to(kInt64), {batch, -1});
  const Tensor sizes = lengths.defined() ? list : narrow(list, 1, 1, count) - narrow(list, 1, 0, count);
  const Tensor ends = cumsum(sizes, 1);
  if (!unsafe) {
    NORCH_CHECK(sizes.numel() == 0 || amin(sizes).item<int64_t>() >= 0, op, ": lengths contains negative value!");
    const bool whole = count == 0 ? length == 0 : all(eq(select(ends, 1, -1), Tensor::wrap(length))).item<bool>();
    NORCH_CHECK(whole, op, ": Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
                "!unsafe.");
  }
  Shape shape(data.sizes()), flat{batch * length}, slots{batch * count};
  shape[static_cast<size_t>(axis)] = count;
  for (int64_t n : data.sizes().slice(static_cast<size_t>(axis) + 1)) {
    flat.push_back(n);
    slots.push_back(n);
  }
  const TensorOptions places = TensorOptions(kInt64).device(data.device());
  const Tensor at = expand(arange(0, length, 1, places), {batch, length}).contiguous();
  const Tensor segment = searchsorted(ends.contiguous(), at, false, true) +
                         unsqueeze(arange(0, batch, 1, places), 1) * Scalar(count);
  const Tensor index = reshape(segment, {-1}), rows = reshape(data, flat);
  const Scalar start = initial ? *initial : Scalar(neutral(reduce));
  const Tensor out = full(slots, start, data.options());
  if (reduce == "sum") return reshape(index_add(out, 0, index, rows), shape);
  if (reduce == "mean") {
    Shape per_row(slots.size(), 1);
    per_row[0] = batch * count;
    const Tensor n = reshape(sizes, per_row), sum = index_add(out, 0, index, rows);
    // With a start an empty segment keeps it.
    return reshape(sum / (initial ? maximum(n, Tensor::wrap(1)) : n), shape);
  }
  const std::string name = reduce == "prod" ? reduce : "a" + reduce;
  return reshape(index_reduce(out, 0, index, rows, name), shape);
}

Tensor norm_except_dim(const Tensor& v, int64_t pow, int64_t dim) {
  if (dim == -1) return vector_norm(v, Scalar(pow));
  dim = wrap_dim(dim, v.dim(), "norm_except_dim");
  Shape others;
  for (int64_t d = 0; d < v.dim(); ++d)
    if (d != dim) others.push_back(d);
  return others.empty() ? vector_norm(unsqueeze(v, 1), Scalar(pow), {1}) : vector_norm(v, Scalar(pow), others, true);
}

}  // namespace norch
