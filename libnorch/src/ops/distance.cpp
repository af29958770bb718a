#include "norch/ops/distance.h"

#include "autograd/record.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/indexing.h"
#include "norch/ops/join.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// Euclidean distances by one product: the rows (-2 a, |a|^2, 1) by (b, 1, |b|^2).
Tensor euclidean(const Tensor& a, const Tensor& b) {
  Tensor out;
  {
    autograd::NoGrad off;
    const Tensor na = sum(a * a, {-1}, true), nb = sum(b * b, {-1}, true);
    const Tensor left = cat({a * Scalar(-2), na, ones_like(na)}, -1), right = cat({b, ones_like(nb), nb}, -1);
    out = sqrt(clamp_min(matmul(left, transpose(right, -2, -1)), Tensor::wrap(0)));
  }
  if (recording(a, b)) {
    record("EuclideanDistBackward0", {a, b}, {out}, [a = save(a), b = save(b), out = save(out)](Backward& ctx) {
      const Tensor x = ctx.get(a), y = ctx.get(b), d = ctx.get(out);
      // Coinciding points have a gradient of zero.
      const Tensor share = masked_fill(ctx.grad() / d, eq(d, Tensor::wrap(0)), Tensor::wrap(0));
      if (ctx.needs(0)) ctx.set(0, x * sum(share, {-1}, true) - matmul(share, y));
      if (ctx.needs(1)) {
        const Tensor turned = transpose(share, -2, -1);
        ctx.set(1, y * sum(turned, {-1}, true) - matmul(turned, x));
      }
    });
  }
  return out;
}

void check_float(const char* op, const Tensor& t) {
  NORCH_CHECK(t.is_floating_point(), op, " only supports floating-point dtypes, got: ", t.dtype());
}

}  // namespace

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim, double eps) {
  NORCH_AUTOCAST(float32_cuda, cosine_similarity, x1, x2, dim, eps);
  const DType type = promote_types(x1.dtype(), x2.dtype());
  NORCH_CHECK(is_floating_point(type), "cosine_similarity: expected common dtype to be floating point, yet common dtype is ",
              type);
  const Shape shape = broadcast_shapes(x1.sizes(), x2.sizes(), "cosine_similarity");
  const Tensor wide1 = expand(x1, shape).to(type), wide2 = expand(x2, shape).to(type);
  const auto unit = [&](const Tensor& x) {
    return x / clamp_min(vector_norm(x, 2, {dim}, true), Tensor::wrap(eps));
  };
  return sum(unit(wide1) * unit(wide2), {dim});
}

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim) {
  broadcast_shapes(x1.sizes(), x2.sizes(), "pairwise_distance");
  return vector_norm(x1 - x2 + Scalar(eps), p, {-1}, keepdim);
}

Tensor dist(const Tensor& a, const Tensor& b, const Scalar& p) {
  NORCH_AUTOCAST(float32_cuda, dist, a, b, p);
  broadcast_shapes(a.sizes(), b.sizes(), "dist");
  return vector_norm(a - b, p);
}

Tensor cdist(const Tensor& x1, const Tensor& x2, double p, DistanceMode mode) {
  NORCH_AUTOCAST(float32, cdist, x1, x2, p, mode);
  check_float("cdist", x1);
  check_float("cdist", x2);
  NORCH_CHECK(x1.dim() >= 2, "cdist only supports at least 2D tensors, X1 got: ", x1.dim(), "D");
  NORCH_CHECK(x2.dim() >= 2, "cdist only supports at least 2D tensors, X2 got: ", x2.dim(), "D");
  NORCH_CHECK(x1.sizes().back() == x2.sizes().back(), "X1 and X2 must have the same number of columns. X1: ",
              x1.sizes().back(), " X2: ", x2.sizes().back());
  NORCH_CHECK(p >= 0, "cdist only supports non-negative p values, got ", p);
  const int64_t rows1 = x1.size(-2), rows2 = x2.size(-2);
  const bool many = rows1 > 25 || rows2 > 25;
  const bool product = p == 2 && rows1 > 0 && rows2 > 0 && x1.sizes().back() > 0 &&
                       (mode == DistanceMode::product || (mode == DistanceMode::automatic && many));
  if (!product) return vector_norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, {-1});
  const Ints s1 = x1.sizes(), s2 = x2.sizes();
  const Shape lead = broadcast_shapes(s1.slice(0, s1.size() - 2), s2.slice(0, s2.size() - 2), "cdist");
  const auto widened = [&](const Tensor& x) {
    Shape shape(lead);
    shape.push_back(x.size(-2));
    shape.push_back(x.size(-1));
    return expand(x, shape);
  };
  return euclidean(widened(x1), widened(x2));
}

Tensor pdist(const Tensor& input, double p) {
  NORCH_AUTOCAST(float32_cuda, pdist, input, p);
  NORCH_CHECK(input.dim() == 2, "pdist only supports 2D tensors, got: ", input.dim(), "D");
  check_float("pdist", input);
  NORCH_CHECK(p >= 0, "pdist only supports non-negative p values");
  const int64_t n = input.sizes()[0];
  const Tensor pairs = triu_indices(n, n, 1, TensorOptions(kInt64).device(input.device()));
  const Tensor a = index_select(input, 0, select(pairs, 0, 0)), b = index_select(input, 0, select(pairs, 0, 1));
  return vector_norm(a - b, p, {1});
}

}  // namespace norch
