// Distinct values and how often they occur.
#include <algorithm>

#include "core/factory.h"
#include "kernels/sort.h"
#include "norch/autograd.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/join.h"
#include "norch/ops/scan.h"
#include "norch/ops/slice.h"
#include "norch/ops/sort.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/dtype_views.h"

namespace norch {

namespace {

TensorOptions counts_on(const Tensor& t) { return TensorOptions(kInt64).device(t.device()); }

/// How often each of 0 .. size-1 occurs in `index`.
Tensor count_of(const Tensor& index, int64_t size) {
  const Tensor zero = zeros({size}, counts_on(index));
  return index.numel() ? scatter_add(zero, 0, index, ones(index.sizes(), counts_on(index))) : zero;
}

/// The runs of equal neighbours of a 1-d tensor: (first of each run, number of its run for each element, lengths); the
/// latter two where they are wanted.
std::tuple<Tensor, Tensor, Tensor> runs(const Tensor& x, bool numbers, bool lengths) {
  const int64_t n = x.numel();
  const Tensor nothing = zeros({0}, counts_on(x));
  if (n == 0) return {x.clone(), numbers ? nothing : Tensor(), lengths ? nothing : Tensor()};
  const Tensor starts = ones({n}, TensorOptions(kBool).device(x.device()));
  if (n > 1) copy_into(narrow(starts, 0, 1, n - 1), ne(narrow(x, 0, 1, n - 1), narrow(x, 0, 0, n - 1)));
  const Tensor first = reshape(nonzero(starts), {-1});
  Tensor run, count;
  if (numbers) run = cumsum(starts, 0) - Scalar(1);
  if (lengths) {
    const int64_t k = first.numel();
    count = sub(cat({narrow(first, 0, 1, k - 1), full({1}, n, counts_on(x))}, 0), first);
  }
  return {index_select(x, 0, first), run, count};
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> unique(const Tensor& t, bool inverse, bool counts) {
  autograd::NoGrad off;
  const Tensor flat = reshape(t.detach(), {-1});
  ValuesAndIndices sorted;
  if (inverse || is_wide_unsigned(t.dtype()) || t.numel() == 0) {
    sorted = sort(flat, 0);
  } else {
    sorted.values = new_tensor(flat.sizes(), t.dtype(), t.device());
    kernels::sort(t.device(), false, 1, flat.numel(), sorted.values, Tensor(), flat.contiguous());
  }
  auto [values, run, lengths] = runs(sorted.values, inverse, counts);
  if (inverse) run = reshape(t.numel() ? scatter_(empty_like(run), 0, sorted.indices, run) : run, t.sizes());
  return {values, run, lengths};
}

std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& t, bool inverse, bool counts) {
  autograd::NoGrad off;
  auto [values, run, lengths] = runs(reshape(t.detach(), {-1}).contiguous(), inverse, counts);
  return {values, inverse ? reshape(run, t.sizes()) : Tensor(), lengths};
}

Tensor bincount(const Tensor& t, const Tensor& weights, int64_t minlength) {
  NORCH_CHECK_IMPLEMENTED(is_integral(t.dtype()), "bincount: not implemented for ", t.dtype(), "; the input holds integers");
  NORCH_CHECK(t.dim() == 1, "bincount only supports 1-d non-negative integral inputs, got shape ", t.sizes());
  NORCH_CHECK(minlength >= 0, "minlength should be >= 0, got ", minlength);
  NORCH_CHECK(!weights.defined() || (weights.dim() == 1 && weights.numel() == t.numel()),
              "bincount: weights should be 1-d and have the same length as input, which has ", t.numel(), " elements");
  autograd::NoGrad off;
  int64_t size = minlength;
  if (t.numel()) {
    NORCH_CHECK(min(t).item<int64_t>() >= 0, "bincount only supports 1-d non-negative integral inputs, got a negative "
                "element");
    size = std::max(size, max(t).item<int64_t>() + 1);
  }
  const Tensor index = t.to(kInt64);
  if (!weights.defined()) return count_of(index, size);
  const DType type = weights.dtype() == kFloat32 ? kFloat32 : kFloat64;
  const Tensor zero = zeros({size}, TensorOptions(type).device(t.device()));
  return t.numel() ? scatter_add(zero, 0, index, weights.detach().to(type)) : zero;
}

Tensor histc(const Tensor& t, int64_t bins, const Scalar& low, const Scalar& high) {
  NORCH_CHECK_IMPLEMENTED(t.is_floating_point(), "histc: not implemented for ", t.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(bins > 0, "histc(): bins must be > 0, but got ", bins);
  autograd::NoGrad off;
  double from = low.to_double(), to = high.to_double();
  NORCH_CHECK(from <= to, "histc: max must be larger than min, got ", from, " and ", to);
  // In at least float32: 16 bits would round elements into the next interval.
  const Tensor x = reshape(t.detach(), {-1}).to(t.itemsize() < 4 ? kFloat32 : t.dtype());
  if (from == to && x.numel()) {
    from = min(x).item<double>();
    to = max(x).item<double>();
  }
  if (from == to) {
    from -= 1;
    to += 1;
  }
  NORCH_CHECK(from - from == 0 && to - to == 0, "histc: range of [", from, ", ", to, "] is not finite");
  // The last interval has its upper end too. Elements outside go to an extra bin, which is dropped.
  const Tensor place = floor((x - Scalar(from)) * Scalar(static_cast<double>(bins) / (to - from)));
  const Tensor inside = mul(ge(x, Tensor::wrap(from)), le(x, Tensor::wrap(to)));
  const Tensor bin = where(inside, minimum(place, Tensor::wrap(static_cast<double>(bins - 1))),
                           full_like(place, static_cast<double>(bins)));
  return narrow(count_of(bin.to(kInt64), bins + 1), 0, 0, bins).to(t.dtype());
}

}  // namespace norch
