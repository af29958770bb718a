#include "norch/ops/calculus.h"

#include "norch/ops/binary.h"
#include "norch/ops/join.h"
#include "norch/ops/reduce.h"
#include "norch/ops/scan.h"
#include "norch/ops/slice.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

namespace {

/// x[i + step] - x[i] along a dim.
Tensor step_difference(const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim);
  const Tensor after = narrow(x, dim, 1, n - 1), before = narrow(x, dim, 0, n - 1);
  return x.dtype() == DType::Bool ? logical_xor(after, before) : sub(after, before);
}

Tensor part(const Tensor& x, int64_t dim, int64_t from, int64_t length) {
  const int64_t n = x.size(dim);
  return narrow(x, dim, from < 0 ? n + from : from, length);
}

/// A 1-d tensor laid along one of `ndim` dims.
Tensor along(const Tensor& t, int64_t dim, int64_t ndim) {
  Shape shape(static_cast<size_t>(ndim), 1);
  shape[dim] = t.numel();
  return reshape(t, shape);
}

/// The sum of two distances: of numbers a number again, which has double's digits whatever the samples' dtype.
Tensor joined(const Tensor& h1, const Tensor& h2) {
  if (!h1.is_wrapped_number() || !h2.is_wrapped_number()) return add(h1, h2);
  const Complex<double> sum = h1.item().to_complex() + h2.item().to_complex();
  return h1.is_complex() ? Tensor::wrap(sum) : Tensor::wrap(sum.re);
}

/// The slope along one dim, of samples that lie apart by `h`: the n - 1 distances (along the dim), or one for all.
Tensor slope(const Tensor& x, int64_t dim, const Tensor& h, int64_t edge_order) {
  const int64_t n = x.size(dim);
  auto distance = [&](int64_t from, int64_t length) { return h.dim() ? part(h, dim, from, length) : h; };
  auto difference = [&](int64_t to, int64_t from) { return sub(part(x, dim, to, 1), part(x, dim, from, 1)); };
  Tensor first, last;
  if (edge_order == 1) {
    first = div(difference(1, 0), distance(0, 1));
    last = div(difference(-1, -2), distance(-1, 1));
  } else {
    // The parabola through three samples, at its end.
    auto end = [&](int64_t a, int64_t b, int64_t c, const Tensor& h1, const Tensor& h2) {
      const Tensor both = joined(h1, h2);
      const Tensor near = div(difference(b, a), h1), far = div(difference(c, a), both);
      return div(sub(mul(near, both), mul(far, h1)), h2);
    };
    first = end(0, 1, 2, distance(0, 1), distance(1, 1));
    last = neg(end(-1, -2, -3, distance(-1, 1), distance(-2, 1)));
  }
  if (n == 2) return cat({first, last}, dim);
  const Tensor before = narrow(x, dim, 0, n - 2), here = narrow(x, dim, 1, n - 2), after = narrow(x, dim, 2, n - 2);
  const Tensor left = distance(0, n - 2), right = distance(1, n - 2), both = joined(left, right);
  const Tensor middle = h.dim() ? add(div(mul(sub(after, here), left), mul(right, both)),
                                      div(mul(sub(here, before), right), mul(left, both)))
                                : div(sub(after, before), both);
  return cat({first, middle, last}, dim);
}

/// The widths between places x, laid so that they broadcast with y.
Tensor widths(const char* op, const Tensor& y, const Tensor& x, int64_t dim) {
  NORCH_CHECK(x.dim() > 0, op, "(): x must have at least one dimension, got a 0-d tensor");
  if (x.dim() == 1) {
    NORCH_CHECK(x.numel() == y.size(dim), op, "(): There must be one `x` value for each sample point: ", x.numel(),
                " and ", y.size(dim));
    return along(step_difference(x, 0), dim, y.dim());
  }
  Tensor places = x;
  while (places.dim() < y.dim()) places = unsqueeze(places, 0);
  return step_difference(places, dim);
}

}  // namespace

Tensor diff(const Tensor& x, int64_t n, int64_t dim, const Tensor& prepend, const Tensor& append) {
  NORCH_CHECK(x.dim() > 0, "diff expects input to be at least one-dimensional");
  NORCH_CHECK(n >= 0, "order must be non-negative but got ", n);
  dim = wrap_dim(dim, x.dim(), "diff");
  for (const Tensor& t : {prepend, append})
    NORCH_CHECK(!t.defined() || t.dim() == x.dim(), "diff expects prepend or append to be the same dimension as input, got ",
                t.defined() ? t.dim() : 0, " and ", x.dim());
  Tensor out = x;
  if (n && (prepend.defined() || append.defined())) {
    TensorList parts;
    for (const Tensor& t : {prepend, x, append})
      if (t.defined()) parts.push_back(t);
    out = cat(parts, dim);
  }
  if (n == 0) return out.clone();
  if (n >= out.size(dim)) return narrow(out, dim, 0, 0).clone();
  for (int64_t i = 0; i < n; ++i) out = step_difference(out, dim);
  return out;
}

TensorList gradient(const Tensor& x, const TensorList& spacing, Ints dims_, int64_t edge_order) {
  NORCH_CHECK(edge_order == 1 || edge_order == 2, "gradient only supports edge_order=1 and edge_order=2, got ", edge_order);
  NORCH_CHECK(is_floating_point(x.dtype()) || (x.dtype() != DType::Bool && x.dtype() != DType::UInt8),
              "gradient does not support ", x.dtype(), " input");
  Shape dims;
  if (dims_.empty())
    for (int64_t d = 0; d < x.dim(); ++d) dims.push_back(d);
  for (int64_t d : dims_) {
    d = wrap_dim(d, x.dim(), "gradient");
    for (int64_t seen : dims) NORCH_CHECK(seen != d, "dim ", d, " appears multiple times in the list of dims");
    dims.push_back(d);
  }
  NORCH_CHECK(spacing.empty() || spacing.size() == dims.size(), "gradient expects spacing to be unspecified, a scalar, or "
              "a list of length equal to the number of dims it goes over, ", dims.size(), ", but got ", spacing.size());
  TensorList out;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t n = x.sizes()[dims[i]];
    NORCH_CHECK(n >= edge_order + 1, "gradient expects each dimension size to be at least edge_order+1, got ", n);
    Tensor h = spacing.empty() ? Tensor::wrap(1) : spacing[i];
    if (h.dim() > 0) {
      NORCH_CHECK(h.dim() == 1, "gradient expects each element of spacing to have one dimension, but got ", h.dim());
      NORCH_CHECK(h.numel() == n, "gradient expects each element of spacing to hold one place for each of the ", n,
                  " samples, but got ", h.numel());
      h = along(step_difference(h, 0), dims[i], x.dim());
    }
    out.push_back(slope(x, dims[i], h, edge_order));
  }
  return out;
}

namespace {

Tensor area(const Tensor& y, const Tensor& width, int64_t dim, bool running) {
  const int64_t n = y.size(dim);
  // Of one width: the samples' sum but for half of the outermost.
  if (!running && width.dim() == 0)
    return mul(sub(sum(y, {dim}), mul(add(select(y, dim, 0), select(y, dim, -1)), Tensor::wrap(0.5))), width);
  const Tensor twice = mul(add(narrow(y, dim, 1, n - 1), narrow(y, dim, 0, n - 1)), width);
  return div(running ? cumsum(twice, dim) : sum(twice, {dim}), Tensor::wrap(2.0));
}

/// `dim` of y and, if they have no samples, the dtype of the empty result.
int64_t checked(const char* op, const Tensor& y, int64_t dim) {
  NORCH_CHECK(y.dtype() != DType::Bool, op, ": received a bool input for `y`, but bool is not supported");
  return wrap_dim(dim, y.dim(), op);
}

Tensor trapezoid_op(const char* op, const Tensor& y, const Tensor& dx, const Tensor& x, int64_t dim, bool running) {
  NORCH_CHECK_IMPLEMENTED(!x.defined() || x.dtype() != DType::Bool, op,
                          ": received a bool input for `x`, but bool is not supported");
  dim = checked(op, y, dim);
  if (y.dim() == 0 || y.size(dim) == 0) {
    NORCH_CHECK(y.dim() > 0, op, "(): y must have at least one dimension");
    return running ? y.clone() : sum(y, {dim});
  }
  return area(y, x.defined() ? widths(op, y, x, dim) : dx, dim, running);
}

}  // namespace

Tensor trapezoid(const Tensor& y, const Scalar& dx, int64_t dim) {
  return trapezoid_op("trapezoid", y, Tensor::wrap(dx), {}, dim, false);
}
Tensor trapezoid(const Tensor& y, const Tensor& x, int64_t dim) {
  return trapezoid_op("trapezoid", y, {}, x, dim, false);
}
Tensor cumulative_trapezoid(const Tensor& y, const Scalar& dx, int64_t dim) {
  return trapezoid_op("cumulative_trapezoid", y, Tensor::wrap(dx), {}, dim, true);
}
Tensor cumulative_trapezoid(const Tensor& y, const Tensor& x, int64_t dim) {
  return trapezoid_op("cumulative_trapezoid", y, {}, x, dim, true);
}

}  // namespace norch
