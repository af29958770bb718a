// Least squares.
#include <cctype>

#include "autograd/record.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch::linalg {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// The solution for A of full rank: R x = Q^H b, or for fewer rows than columns the shortest one, by the factors of A^H.
Tensor full_rank_solution(const Tensor& a, const Tensor& b) {
  if (a.size(-2) >= a.size(-1)) {
    const QR f = linalg::qr(a);
    return detail::triangular(f.r, matmul(adjoint(f.q), b), true, true);
  }
  const QR f = linalg::qr(adjoint(a));
  return matmul(f.q, detail::triangular(f.r, b, true, true, 'C'));
}

void check(const char* op, const Tensor& a, const Tensor& b) {
  NORCH_CHECK(a.dim() >= 2, op, ": input must have at least 2 dimensions.");
  NORCH_CHECK(b.dim() >= 1, op, ": other must have at least 1 dimension.");
  const int64_t extra = a.dim() - b.dim();
  NORCH_CHECK(extra == 0 || extra == 1, op, ": input.dim() must be greater or equal to other.dim() and (input.dim() - "
              "other.dim()) <= 1");
  detail::check_matrix(op, a, "input");
  NORCH_CHECK(a.size(-2) == b.size(extra ? -1 : -2), op, ": input.size(-2) should match other.size(",
              extra ? "-1)" : "-2)");
  detail::check_alike(op, a, "input", b, "other");
  detail::check_float(op, a);
}

}  // namespace

LeastSquares lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond,
                   const std::optional<std::string>& driver) {
  constexpr const char* op = "linalg.lstsq";
  check(op, a, b);
  std::string by = driver.value_or(a.is_cuda() ? "gels" : "gelsy");
  for (char& c : by) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  NORCH_CHECK(by == "gels" || by == "gelsy" || by == "gelsd" || by == "gelss", op, ": parameter `driver` should be one "
              "of (gels, gelsy, gelsd, gelss), got ", by);
  if (detail::is_vector(a, b)) {
    LeastSquares out = lstsq(a, unsqueeze(b, -1), rcond, driver);
    out.solution = squeeze(out.solution, -1);
    return out;
  }
  const int64_t m = a.size(-2), n = a.size(-1);
  LeastSquares out;
  const Tensor none = empty({0}, a.options().dtype(to_real(a.dtype())));
  out.singular_values = none;
  out.rank = empty({0}, TensorOptions(kInt64).device(a.device()));
  bool full = true;
  {
    NoGrad off;
    const Tensor x = a.detach(), y = b.detach();
    const Shape batch = broadcast_shapes(detail::batch_of(a), detail::batch_of(b), op);
    if (a.numel() == 0 || b.numel() == 0) {
      out.solution = zeros(detail::joined(batch, {n, b.size(-1)}), a.options());
      if (by != "gels") out.rank = zeros(detail::batch_of(a), out.rank.options());
      full = by == "gels" && a.numel() != 0;
    } else if (by == "gels") {
      out.solution = full_rank_solution(x, y);
    } else {
      const SVD f = linalg::svd(x, false);
      const double limit = rcond.value_or(detail::epsilon_of(a.dtype()) * static_cast<double>(std::max(m, n)));
      const Tensor kept = gt(f.s, amax(f.s, {-1}, true) * Scalar(limit));
      const Tensor inverse = where(kept, reciprocal(f.s), zeros_like(f.s));
      out.solution = matmul(adjoint(f.vh), mul(unsqueeze(inverse, -1), matmul(adjoint(f.u), y)));
      out.rank = sum(kept, {-1});
      if (by != "gelsy") out.singular_values = f.s;
      full = by != "gelsy" && m > n && all(eq(out.rank, Tensor::wrap(n))).item<bool>();
    }
  }
  if (recording(a, b)) {
    record("LinalgLstsqBackward0", {a, b}, {out.solution}, [a = save(a), b = save(b)](Backward& ctx) {
      const Tensor x = ctx.get(a), p = pinv(x);
      if (ctx.needs(0))
        ctx.set(0, detail::pinv_gradient(matmul(ctx.grad(), adjoint(ctx.get(b))), p, x));
      if (ctx.needs(1)) ctx.set(1, matmul(adjoint(p), ctx.grad()));
    });
  }
  if (full && m > n) {
    const Tensor error = sub(matmul(a, out.solution), b);
    out.residuals = sum(real(mul(error, conj(error))), {-2});
  } else {
    out.residuals = real(narrow(flatten(out.solution), 0, 0, 0)).clone();  // empty, and in the graph like its other form
  }
  return out;
}

}  // namespace norch::linalg
