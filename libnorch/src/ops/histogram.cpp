// Histograms and sets: what follows from searching in sorted values.
#include "core/factory.h"
#include "norch/autograd.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/join.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
#include "norch/ops/scan.h"
#include "norch/ops/slice.h"
#include "norch/ops/sort.h"
#include "norch/ops/statistics.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/elementwise.h"

namespace norch {

namespace {

Tensor number(const Scalar& v) { return Tensor::wrap(v); }

/// (samples, dims), checked.
Tensor flat_points(const Tensor& points, size_t dims, const Tensor& weight) {
  NORCH_CHECK_IMPLEMENTED(points.dtype() == kFloat32 || points.dtype() == kFloat64,
                          "histogramdd: not implemented for ", points.dtype());
  NORCH_CHECK(points.dim() >= 2, "histogramdd: input tensor should have at least 2 dimensions, but got ", points.dim());
  NORCH_CHECK(points.size(-1) == static_cast<int64_t>(dims), "histogramdd: The size of bins must be equal to the "
              "innermost dimension of the input, got ", dims, " and ", points.size(-1));
  if (weight.defined()) {
    Shape samples;
    for (int64_t d = 0; d + 1 < points.dim(); ++d) samples.push_back(points.sizes()[d]);
    NORCH_CHECK(weight.sizes() == samples,
                "histogramdd: if weight tensor is provided it should have the same shape as the input tensor excluding "
                "its innermost dimension, but got input with shape ", points.sizes(), " and weight with shape ",
                weight.sizes());
    NORCH_CHECK(weight.dtype() == points.dtype(), "histogramdd: if weight tensor is provided, input tensor and weight "
                "tensor should have the same dtype, but got input ", points.dtype(), " and weight ", weight.dtype());
  }
  return reshape(points.detach(), {-1, static_cast<int64_t>(dims)});
}

}  // namespace

Histogram histogramdd(const Tensor& points, const TensorList& edges, const Tensor& weight, bool density) {
  NORCH_CHECK(!edges.empty(), "histogramdd: expected bins for at least one dimension");
  const Tensor x = flat_points(points, edges.size(), weight);
  autograd::NoGrad off;
  const int64_t samples = x.size(0);
  Tensor cell = zeros({samples}, TensorOptions(kInt64).device(x.device()));
  Tensor inside = ones({samples}, TensorOptions(kBool).device(x.device()));
  Shape shape;
  int64_t cells = 1;
  for (size_t d = 0; d < edges.size(); ++d) {
    const Tensor& e = edges[d];
    NORCH_CHECK(e.defined(), "histogramdd: bins tensor for dimension ", d, " is undefined");
    NORCH_CHECK(e.dim() == 1 && e.numel() > 0, "histogramdd: bins tensor for dimension ", d, " should have one dimension "
                "and at least one edge, but got shape ", e.sizes());
    NORCH_CHECK(e.dtype() == x.dtype(), "histogramdd: input tensor and bins tensors should have the same dtype, but got ",
                x.dtype(), " and ", e.dtype());
    const int64_t n = e.numel() - 1;
    const Tensor value = select(x, 1, static_cast<int64_t>(d)).contiguous();
    inside = logical_and(inside, logical_and(ge(value, select(e, 0, 0)), le(value, select(e, 0, n))));
    const Tensor place = sub(searchsorted(e.contiguous(), value, false, true), number(1));
    cell = add(mul(cell, number(n)), clamp(place, number(0), number(std::max<int64_t>(n - 1, 0))));
    shape.push_back(n);
    cells *= n;
  }
  // What lies outside goes to an extra cell, which is dropped.
  cell = where(inside, cell, full_like(cell, cells));
  const Tensor amount = weight.defined() ? reshape(weight.detach(), {-1}) : ones({samples}, x.options());
  Tensor hist = reshape(narrow(scatter_add(zeros({cells + 1}, x.options()), 0, cell, amount), 0, 0, cells), shape);
  if (density) {
    hist = div(hist, sum(hist));
    for (size_t d = 0; d < edges.size(); ++d) {
      const int64_t n = shape[d];
      Shape along(shape.size(), 1);
      along[d] = n;
      hist = div(hist, reshape(sub(narrow(edges[d], 0, 1, n), narrow(edges[d], 0, 0, n)), along));
    }
  }
  return {hist, edges};
}

Histogram histogramdd(const Tensor& points, Ints bins, const std::vector<double>& range, const Tensor& weight,
                      bool density) {
  const Tensor x = flat_points(points, bins.size(), weight);
  NORCH_CHECK(range.empty() || range.size() == 2 * bins.size(), "histogramdd: for a ", bins.size(),
              "-dimensional histogram range should have ", 2 * bins.size(), " elements, but got ", range.size());
  TensorList edges;
  for (size_t d = 0; d < bins.size(); ++d) {
    NORCH_CHECK(bins[d] > 0, "histogramdd(): bins must be > 0, but got ", bins[d], " for dimension ", d);
    double low = 0, high = 1;
    if (!range.empty()) {
      low = range[2 * d];
      high = range[2 * d + 1];
    } else if (x.numel()) {
      const Tensor value = select(x, 1, static_cast<int64_t>(d));
      low = min(value).item<double>();
      high = max(value).item<double>();
    }
    NORCH_CHECK(low - low == 0 && high - high == 0, "histogramdd: dimension ", d, "'s range [", low, ", ", high,
                "] is not finite");
    NORCH_CHECK(low <= high, "histogramdd: min should not exceed max, but got min ", low, " max ", high,
                " for dimension ", d);
    if (low == high) {
      low -= 0.5;
      high += 0.5;
    }
    edges.push_back(linspace(low, high, bins[d] + 1, x.options()));
  }
  return histogramdd(points, edges, weight, density);
}

Tensor isin(const Tensor& elements, const Tensor& tests, bool invert) {
  const DType type = result_type(elements, tests);
  NORCH_CHECK(elements.dtype() != DType::Bool && tests.dtype() != DType::Bool,
              "isin(): Unsupported input type encountered: bool");
  autograd::NoGrad off;
  const Device device = common_device("isin", {elements, tests});
  const Tensor x = elements.detach().to(device, type);
  const Tensor sorted = sort(reshape(tests.detach().to(device, type), {-1}), 0).values.contiguous();
  if (sorted.numel() == 0) return full(x.sizes(), invert, TensorOptions(kBool).device(device));
  const Tensor place = clamp_max(searchsorted(sorted, x.contiguous()), number(sorted.numel() - 1));
  const Tensor found = reshape(index_select(sorted, 0, reshape(place, {-1})), x.sizes());
  return invert ? ne(found, x) : eq(found, x);
}

std::tuple<Tensor, Tensor, Tensor> unique_dim(const Tensor& t, int64_t dim, bool consecutive) {
  NORCH_CHECK_INDEX(t.dim() > 0, "Dimension specified as ", dim, " but tensor has no dimensions");
  dim = wrap_dim(dim, t.dim(), "unique_dim");
  autograd::NoGrad off;
  const TensorOptions counts = TensorOptions(kInt64).device(t.device());
  const int64_t n = t.size(dim);
  if (t.numel() == 0) {
    for (int64_t d = 0; d < t.dim(); ++d)
      NORCH_CHECK(d == dim || t.sizes()[d] != 0, "There are 0 sized dimensions, and they aren't selected, so unique cannot "
                  "be applied to shape ", t.sizes());
    return {t.detach().clone(), zeros({0}, counts), zeros({0}, counts)};
  }
  Tensor rows = reshape(movedim(t.detach(), {dim}, {0}), {n, -1});
  Tensor order = arange(0, n, 1, counts);
  if (!consecutive) {
    // Stable sorts by the last column first leave the rows in lexicographic order.
    for (int64_t c = rows.size(1) - 1; c >= 0; --c)
      order = index_select(order, 0, argsort(index_select(select(rows, 1, c), 0, order), 0));
    rows = index_select(rows, 0, order);
  }
  Tensor starts = zeros({n}, counts);
  if (n > 1) copy_into(narrow(starts, 0, 1, n - 1), any(ne(narrow(rows, 0, 1, n - 1), narrow(rows, 0, 0, n - 1)), {1}));
  const Tensor run = cumsum(starts, 0);
  const int64_t count = select(run, 0, n - 1).item<int64_t>() + 1;
  const Tensor lengths = scatter_add(zeros({count}, counts), 0, run, ones({n}, counts));
  const Tensor first = index_select(order, 0, sub(cumsum(lengths, 0), lengths));
  return {index_select(t.detach(), dim, first), scatter(zeros({n}, counts), 0, order, run), lengths};
}

Tensor nonzero_static(const Tensor& t, int64_t size, int64_t fill_value) {
  NORCH_CHECK(size >= 0, "nonzero_static: 'size' must be an non-negative integer, got ", size);
  const Tensor found = nonzero(t);
  const int64_t n = found.size(0);
  if (n >= size) return narrow(found, 0, 0, size).clone();
  return cat({found, full({size - n, t.dim()}, fill_value, found.options())}, 0);
}

Tensor index_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                    const std::string& reduce, bool include_self) {
  NORCH_CHECK(reduce == "prod" || reduce == "mean" || reduce == "amax" || reduce == "amin",
              "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got ", reduce, ".");
  NORCH_CHECK_INDEX(index.dim() <= 1, "index_reduce(): Index is supposed to be a vector, got shape ", index.sizes());
  NORCH_CHECK(source.dim() == self.dim(), "index_reduce(): source needs as many dimensions as self, got ", source.dim(),
              " and ", self.dim());
  dim = wrap_dim(dim, self.dim(), "index_reduce");
  Shape shape(source.sizes());
  const int64_t length = source.dim() ? source.sizes()[dim] : 1;
  NORCH_CHECK(index.numel() == length, "index_reduce(): Number of indices (", index.numel(),
              ") should be equal to source.size(dim) (", length, ")");
  Shape expected(self.sizes());
  if (!expected.empty()) expected[dim] = length;
  NORCH_CHECK(shape == expected, "index_reduce(): source of shape ", shape, " must match self of shape ", self.sizes(),
              " but for dim ", dim);
  Shape laid(shape.size(), 1);
  if (!laid.empty()) laid[dim] = length;
  const Tensor everywhere = expand(reshape(index, laid), shape);
  return scatter_reduce(self, dim, everywhere, source, reduce, include_self);
}

Tensor resize_(const Tensor& self, Ints sizes) {
  NORCH_CHECK(!self.requires_grad(), "resize_: cannot resize variables that require grad");
  if (self.sizes() == sizes) return self;  // whatever its strides
  TensorImpl& impl = *self.impl();
  int64_t numel = 1;
  for (int64_t s : sizes) {
    NORCH_CHECK(s >= 0, "resize_: requested resize to ", sizes, ", a negative size");
    numel *= s;
  }
  const int64_t item = static_cast<int64_t>(self.itemsize());
  const int64_t room = static_cast<int64_t>(impl.storage->nbytes()) / item - impl.offset;
  if (numel > room) {
    const Tensor fresh = new_tensor({numel}, self.dtype(), self.device());
    // The memory as it lies, not the elements in order: that is what PyTorch keeps.
    if (room > 0) {
      const Tensor old = new_view(self.data_alias(), {room}, {1}, impl.offset);
      copy_into(narrow(fresh, 0, 0, room), old);
    }
    impl.storage = fresh.storage();
    impl.offset = 0;
  }
  impl.sizes = sizes;
  impl.strides.clear();
  for (size_t d = 0; d < sizes.size(); ++d) impl.strides.push_back(1);
  for (size_t d = sizes.size(); d-- > 1;) impl.strides[d - 1] = impl.strides[d] * std::max<int64_t>(sizes[d], 1);
  impl.refresh();
  return self;
}

Tensor fill_diagonal_(const Tensor& self, const Scalar& value, bool wrap) {
  NORCH_CHECK(self.dim() >= 2, "fill_diagonal_: dimensions must larger than 1, got ", self.dim());
  int64_t step = 0, shortest = self.sizes()[0];
  for (int64_t d = 0; d < self.dim(); ++d) {
    NORCH_CHECK(self.dim() == 2 || self.sizes()[d] == self.sizes()[0], "fill_diagonal_: all dimensions of input must be of "
                "equal length, got ", self.sizes());
    step += self.strides()[d];
    shortest = std::min(shortest, self.sizes()[d]);
  }
  fill_(as_strided(self, {shortest}, {step}), value);
  if (wrap && self.dim() == 2 && self.sizes()[0] > self.sizes()[1] + 1) {
    const int64_t width = self.sizes()[1];
    for (int64_t row = width + 1; row < self.sizes()[0]; row += width + 1)
      fill_diagonal_(narrow(self, 0, row, self.sizes()[0] - row), value, false);
  }
  return self;
}

}  // namespace norch
