// Solving with a general square matrix: solve, inv, and what is written in them.
#include "autograd/record.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch::linalg {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using detail::check_info;
using detail::Failure;

namespace {

WithInfo solve_op(const char* op, const Tensor& a, const Tensor& b, bool left) {
  detail::check_square(op, a);
  detail::check_float(op, a);
  detail::check_alike(op, a, "A", b, "B");
  const bool vector = detail::is_vector(a, b);
  NORCH_CHECK(left || !vector, op, ": Vector broadcasting of the left hand side is not supported for left=False. In "
              "this case linalg.solve is equivalent to B / A.squeeze(-1)");
  if (vector) {
    const WithInfo r = solve_op(op, a, unsqueeze(b, -1), true);
    return {squeeze(r.result, -1), r.info};
  }
  detail::check_matrix(op, b, "B");
  NORCH_CHECK(left ? a.size(-2) == b.size(-2) : a.size(-1) == b.size(-1), op, ": Incompatible shapes of A and B for "
              "the equation ", left ? "AX = B" : "XA = B", " (", a.size(-2), "x", a.size(-1), " and ", b.size(-2), "x",
              b.size(-1), ")");
  LUFactor f;
  Tensor x;
  {
    NoGrad off;
    f = detail::lu_of(op, a);
    x = lu_solve(f.lu, f.pivots, b, left).detach();
  }
  if (recording(a, b)) {
    record("LinalgSolveExBackward0", {a, b}, {x},
           [left, lu = f.lu, pivots = f.pivots, a = save(a), x = save_output(x)](Backward& ctx) {
             // The factors serve the first derivatives; higher ones have to see A itself.
             const Tensor gb = autograd::grad_enabled() ? solve_op("linalg.solve", adjoint(ctx.get(a)), ctx.grad(), left).result
                                                        : lu_solve(lu, pivots, ctx.grad(), left, true);
             if (ctx.needs(1)) ctx.set(1, gb);
             if (!ctx.needs(0)) return;
             const Tensor xh = adjoint(ctx.get(x));
             ctx.set(0, neg(left ? matmul(gb, xh) : matmul(xh, gb)));
           });
  }
  return {x, f.info};
}

WithInfo inv_op(const char* op, const Tensor& a) {
  detail::check_square(op, a);
  detail::check_float(op, a);
  LUFactor f;
  Tensor x;
  {
    NoGrad off;
    f = detail::lu_of(op, a);
    x = lu_solve(f.lu, f.pivots, detail::identity_like(a, a.size(-1))).detach();
  }
  if (recording(a)) {
    record("LinalgInvExBackward0", {a}, {x}, [x = save_output(x)](Backward& ctx) {
      const Tensor xh = adjoint(ctx.get(x));
      ctx.set(0, neg(matmul(xh, matmul(ctx.grad(), xh))));
    });
  }
  return {x, f.info};
}

}  // namespace

WithInfo solve_ex(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
  WithInfo out = solve_op("linalg.solve", a, b, left);
  if (check_errors) check_info("linalg.solve_ex", out.info, Failure::Solve);
  return out;
}

Tensor solve(const Tensor& a, const Tensor& b, bool left) {
  const WithInfo out = solve_op("linalg.solve", a, b, left);
  check_info("linalg.solve", out.info, Failure::Solve);
  return out.result;
}

WithInfo inv_ex(const Tensor& a, bool check_errors) {
  WithInfo out = inv_op("linalg.inv", a);
  if (check_errors) check_info("linalg.inv_ex", out.info, Failure::Singular);
  return out;
}

Tensor inv(const Tensor& a) {
  const WithInfo out = inv_op("linalg.inv", a);
  check_info("linalg.inv", out.info, Failure::Singular);
  return out.result;
}

Tensor tensorinv(const Tensor& a, int64_t ind) {
  NORCH_CHECK(ind > 0, "linalg.tensorinv: Expected a strictly positive integer for 'ind', got ", ind);
  NORCH_CHECK(ind <= a.dim(), "linalg.tensorinv: 'ind' is ", ind, ", but A has only ", a.dim(), " dimensions");
  const Ints first = a.sizes().slice(0, static_cast<size_t>(ind)), last = a.sizes().slice(static_cast<size_t>(ind));
  const int64_t rows = numel_of(first), columns = numel_of(last);
  NORCH_CHECK(rows == columns, "linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
              "prod(self.shape[:ind]), but got ", columns, " != ", rows);
  const WithInfo out = inv_op("linalg.tensorinv", reshape(a, {rows, columns}));
  check_info("linalg.tensorinv", out.info, Failure::Singular);
  return reshape(out.result, detail::joined(last, first));
}

Tensor tensorsolve(const Tensor& a, const Tensor& b, std::optional<Shape> dims) {
  Tensor x = a;
  if (dims) {
    Shape to;
    for (size_t i = 0; i < dims->size(); ++i) to.push_back(static_cast<int64_t>(i) - static_cast<int64_t>(dims->size()));
    x = movedim(a, *dims, to);
  }
  NORCH_CHECK(b.dim() <= x.dim(), "linalg.tensorsolve: B has more dimensions (", b.dim(), ") than A (", x.dim(), ")");
  const Ints tail = x.sizes().slice(static_cast<size_t>(b.dim()));
  const int64_t n = numel_of(tail);
  NORCH_CHECK(b.numel() == n && x.numel() == n * n, "linalg.tensorsolve: Expected self to satisfy the requirement "
              "prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got ", n, " != ", b.numel(),
              " for A of shape ", x.sizes(), " and B of shape ", b.sizes());
  const WithInfo out = solve_op("linalg.tensorsolve", reshape(x, {n, n}), reshape(b, {n}), true);
  check_info("linalg.tensorsolve", out.info, Failure::Solve);
  return reshape(out.result, tail);
}

}  // namespace norch::linalg
