// Triangular systems, which most of the other solvers end in.
#include "autograd/record.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_if;
using autograd::save_output;
using autograd::wants_grad;

namespace linalg {

namespace detail {

Tensor triangular(const Tensor& a, const Tensor& b, bool left, bool upper, char op, bool unit) {
  const Shape batch = broadcast_shapes(batch_of(a), batch_of(b), "linalg.solve_triangular");
  const Tensor x = copy_columns(b, batch);
  if (x.numel()) kernels::solve_triangular(x.device(), as_columns(a, batch), x, left, upper, op, unit);
  if (recording(a, b)) {
    record("LinalgSolveTriangularBackward0", {a, b}, {x},
           [left, upper, op, unit, a = save(a), x = wants_grad(a) ? save_output(x) : autograd::SavedTensor()](
               Backward& ctx) {
             const Tensor gb = triangular(ctx.get(a), ctx.grad(), left, upper, op == 'N' ? 'C' : 'N', unit);
             if (ctx.needs(1)) ctx.set(1, gb);
             if (!ctx.needs(0)) return;
             // d(op(A)) = -gB X^H on the left, -X^H gB on the right; for op = 'C' its adjoint.
             const Tensor y = ctx.get(x);
             const bool plain = op == 'N';
             const Tensor& first = left == plain ? gb : y;
             const Tensor& second = left == plain ? y : gb;
             const Tensor g = neg(left ? matmul(first, adjoint(second)) : matmul(adjoint(first), second));
             ctx.set(0, upper ? triu(g, unit) : tril(g, unit ? -1 : 0));
           });
  }
  return x;
}

}  // namespace detail

Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left, bool unitriangular) {
  constexpr const char* op = "linalg.solve_triangular";
  detail::check_square(op, a);
  detail::check_matrix(op, b, "B");
  detail::check_float(op, a);
  detail::check_alike(op, a, "A", b, "B");
  NORCH_CHECK(left ? a.size(-2) == b.size(-2) : a.size(-1) == b.size(-1), op, ": Incompatible shapes of A and B for "
              "the equation ", left ? "AX = B" : "XA = B", " (", a.size(-2), "x", a.size(-1), " and ", b.size(-2), "x",
              b.size(-1), ")");
  return detail::triangular(a, b, left, upper, 'N', unitriangular);
}

}  // namespace linalg

std::pair<Tensor, Tensor> triangular_solve(const Tensor& b, const Tensor& a, bool upper, bool transposed,
                                           bool unitriangular) {
  constexpr const char* op = "triangular_solve";
  linalg::detail::check_matrix(op, b, "b");
  linalg::detail::check_square(op, a);
  linalg::detail::check_float(op, a);
  linalg::detail::check_alike(op, b, "b", a, "A");
  NORCH_CHECK(a.size(-2) == b.size(-2), op, ": Incompatible matrix sizes for triangular_solve: each A matrix is ",
              a.size(-1), " by ", a.size(-1), " but each b matrix is ", b.size(-2), " by ", b.size(-1));
  const Shape batch = broadcast_shapes(linalg::detail::batch_of(a), linalg::detail::batch_of(b), op);
  const Tensor x = transposed ? linalg::detail::triangular(transpose(a, -2, -1), b, true, !upper, 'N', unitriangular)
                              : linalg::detail::triangular(a, b, true, upper, 'N', unitriangular);
  return {x, expand(a, linalg::detail::joined(batch, {a.size(-2), a.size(-1)})).clone()};
}

Tensor cholesky_solve(const Tensor& b, const Tensor& l, bool upper) {
  constexpr const char* op = "cholesky_solve";
  NORCH_CHECK(b.dim() >= 2, "b should have at least 2 dimensions, but has ", b.dim(), " dimensions instead");
  NORCH_CHECK(l.dim() >= 2, "u should have at least 2 dimensions, but has ", l.dim(), " dimensions instead");
  linalg::detail::check_square(op, l);
  linalg::detail::check_float(op, l);
  linalg::detail::check_alike(op, b, "b", l, "A");
  NORCH_CHECK(l.size(-2) == b.size(-2), op, ": Incompatible matrix sizes for cholesky_solve: each A matrix is ",
              l.size(-1), " by ", l.size(-1), " but each b matrix is ", b.size(-2), " by ", b.size(-1));
  using linalg::detail::triangular;
  const Tensor y = triangular(l, b, true, upper, upper ? 'C' : 'N');
  return triangular(l, y, true, upper, upper ? 'N' : 'C');
}

Tensor cholesky_inverse(const Tensor& l, bool upper) {
  linalg::detail::check_square("cholesky_inverse", l);
  linalg::detail::check_float("cholesky_inverse", l);
  const Tensor x = linalg::detail::triangular(l, linalg::detail::identity_like(l, l.size(-1)), true, upper);
  return upper ? matmul(x, adjoint(x)) : matmul(adjoint(x), x);
}

}  // namespace norch
