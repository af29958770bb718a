// Functions of matrices: powers, the exponential, and small composed ones.
#include <cmath>

#include "autograd/record.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/join.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
#include "norch/ops/scan.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/linalg_common.h"
#include "ops/product.h"

namespace norch {

namespace linalg {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// The [13/13] Pade approximant of exp, for matrices of 1-norm up to 5.37 (Higham 2005, algorithm 2.3).
Tensor pade_exp(const Tensor& a) {
  constexpr double b[] = {64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
                          10559470521600,    670442572800,      33522128640,      1323241920,       40840800,
                          960960,            16380,             182,              1};
  // Relative to b[0], which float32 could not hold the product with.
  const auto c = [&](int i) { return Scalar(b[i] / b[0]); };
  const Tensor one = detail::identity_like(a, a.size(-1));
  const Tensor a2 = matmul(a, a), a4 = matmul(a2, a2), a6 = matmul(a4, a2);
  const Tensor u = matmul(a, matmul(a6, a6 * c(13) + a4 * c(11) + a2 * c(9)) + a6 * c(7) + a4 * c(5) + a2 * c(3) +
                                 one * c(1));
  const Tensor v = matmul(a6, a6 * c(12) + a4 * c(10) + a2 * c(8)) + a6 * c(6) + a4 * c(4) + a2 * c(2) + one;
  return solve_ex(sub(v, u), add(v, u)).result;
}

/// exp(A) by scaling each matrix with its own power of two, and squaring it as often.
Tensor exp_of(const Tensor& a) {
  if (a.numel() == 0) return a.clone();
  const double limit = to_real(a.dtype()) == kFloat64 ? 5.371920351148152 : 3.925724783138660;
  const Tensor size = amax(sum(abs(a), {-2}), {-1});
  Tensor steps = ceil(log2(size / Scalar(limit)));
  steps = where(gt(steps, Tensor::wrap(0)), steps, zeros_like(steps));
  steps = unsqueeze(unsqueeze(where(isfinite(steps), steps, zeros_like(steps)), -1), -1);
  Tensor x = pade_exp(mul(a, exp2(neg(steps))));
  const int most = static_cast<int>(amax(steps).item<double>());
  for (int i = 0; i < most; ++i) x = where(gt(steps, Tensor::wrap(i)), matmul(x, x), x);
  return x;
}

}  // namespace

Tensor matrix_exp(const Tensor& a) {
  constexpr const char* op = "linalg.matrix_exp";
  detail::check_square(op, a);
  NORCH_CHECK(is_differentiable(a.dtype()), op, ": Expected a floating point or complex tensor as input. Got ",
              scalar_type_name(a.dtype()));
  if (a.dtype() == kFloat16 || a.dtype() == kBFloat16) return matrix_exp(a.to(kFloat32)).to(a.dtype());
  Tensor out;
  {
    NoGrad off;
    out = exp_of(a.detach());
  }
  if (recording(a)) {
    record("LinalgMatrixExpBackward0", {a}, {out}, [a = save(a)](Backward& ctx) {
      // exp([[A^H, G], [0, A^H]]) holds the derivative of exp at A^H in direction G in its upper right corner (Najfeld
      // and Havel 1995).
      const Tensor x = adjoint(ctx.get(a));
      const int64_t n = x.size(-1);
      const Tensor top = cat({x, ctx.grad()}, -1), bottom = cat({zeros(x.sizes(), x.options()), x}, -1);
      ctx.set(0, narrow(narrow(matrix_exp(cat({top, bottom}, -2)), -2, 0, n), -1, n, n));
    });
  }
  return out;
}

Tensor matrix_power(const Tensor& a, int64_t n) {
  detail::check_square("linalg.matrix_power", a);
  if (n == 0)  // in the graph of A, with no gradient
    return add(masked_fill(a, ones({}, kBool), Tensor::wrap(0)), detail::identity_like(a, a.size(-1)));
  if (n == 1) return a.clone();
  Tensor square = n < 0 ? inv(a) : a, out;
  // n is the sum of the powers of two that its bits stand for.
  for (uint64_t bits = n < 0 ? uint64_t{0} - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);;) {
    if (bits & 1) out = out.defined() ? matmul(out, square) : square;
    bits >>= 1;
    if (!bits) return out;
    square = matmul(square, square);
  }
}

Tensor vecdot(const Tensor& x, const Tensor& y, int64_t dim) {
  NORCH_AUTOCAST(lower, vecdot, x, y, dim);
  NORCH_CHECK(is_differentiable(x.dtype()), "linalg.vecdot: Expected a floating point or complex tensor as input. Got ",
              scalar_type_name(x.dtype()));
  detail::check_alike("linalg.vecdot", x, "x", y, "y");
  return sum(mul(conj(x), y), {dim});
}

Tensor vander(const Tensor& x, std::optional<int64_t> n) {
  NORCH_CHECK((is_integral(x.dtype()) || is_differentiable(x.dtype())) && x.dtype() != kFloat16 && x.dtype() != kBFloat16,
              "linalg.vander supports floating point, complex, and integer tensors, but got ",
              scalar_type_name(x.dtype()));
  if (x.dim() == 0) return linalg::vander(reshape(x, {1}), n);
  const int64_t count = n ? *n : x.size(-1);
  NORCH_CHECK(count > 1, "linalg.vander: N must be greater than 1, got ", count);
  const DType type = is_differentiable(x.dtype()) ? x.dtype() : kInt64;
  const Tensor column = unsqueeze(x.to(type), -1);
  const Tensor rows = expand(column, detail::joined(x.sizes(), {count - 1}));
  return cat({ones(column.sizes(), column.options()), cumprod(rows, -1)}, -1);
}

Tensor diagonal(const Tensor& a, int64_t offset, int64_t dim1, int64_t dim2) {
  return norch::diagonal(a, offset, dim1, dim2);
}

}  // namespace linalg

Tensor vander(const Tensor& x, std::optional<int64_t> n, bool increasing) {
  NORCH_CHECK(x.dim() == 1, "vander: x must be a one-dimensional tensor, got ", x.dim(), " dimensions");
  const int64_t count = n.value_or(x.numel());
  NORCH_CHECK(count >= 0, "vander: N must be non-negative, got ", count);
  const DType type = promote_types(x.dtype(), kInt64);
  const Tensor column = unsqueeze(x.to(type), -1);
  Tensor out = empty({x.numel(), 0}, column.options());
  if (count > 0) out = ones(column.sizes(), column.options());
  if (count > 1) out = cat({out, cumprod(expand(column, {x.numel(), count - 1}), -1)}, -1);
  return increasing ? out : flip(out, {-1});
}

}  // namespace norch
