// LU factors.
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/join.h"
#include "norch/ops/matmul.h"
#include "norch/ops/slice.h"
#include "norch/ops/sort.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save_output;

namespace linalg {

using detail::triangular;

namespace {

/// The rows of `t` in another order (batches broadcast).
Tensor reordered(const Tensor& t, const Tensor& order) {
  if (t.is_complex()) {  // pairs of real numbers, whose gradients scatter
    const Tensor parts = flatten(view_as_real(t.contiguous()), -2);
    return view_as_complex(unflatten(reordered(parts, order), -1, {t.size(-1), 2}));
  }
  const Shape batch = broadcast_shapes(detail::batch_of(t), order.sizes().slice(0, order.sizes().size() - 1), "lu_solve");
  const Tensor rows = expand(unsqueeze(order, -1), detail::joined(batch, {order.size(-1), t.size(-1)}));
  return gather(expand(t, detail::joined(batch, {t.size(-2), t.size(-1)})), -2, rows);
}

Tensor part(const Tensor& t, int64_t dim, int64_t from, int64_t to) { return narrow(t, dim, from, to - from); }

/// The gradient of P^T A, given those of L and U (either may be undefined), for P^T A = L U.
///
/// With L1 and U1 the leading square parts and M = L1^-1 d(P^T A)1 U1^-1: dL1 = L1 tril(M, -1), dU1 = triu(M) U1; what
/// sticks out below (right) follows from d(P^T A) = dL U + L dU.
Tensor factors_gradient(const Tensor& gl, const Tensor& gu, const Tensor& lu) {
  const int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
  const Tensor square = part(part(lu, -2, 0, k), -1, 0, k);  // L1 and U1, for triangular solves
  const Tensor below = m > k ? part(lu, -2, k, m) : Tensor(), right = n > k ? triu(part(lu, -1, k, n), k - n) : Tensor();
  const Tensor u1 = triu(square), l1 = tril(square, -1) + detail::identity_like(lu, k);
  Tensor lower, upper;  // the parts of M's gradient below, and on and above, the diagonal
  const auto sum_of = [](const Tensor& x, const Tensor& y) { return x.defined() ? add(x, y) : y; };
  if (gl.defined()) lower = matmul(adjoint(l1), part(gl, -2, 0, k));
  if (gu.defined()) upper = matmul(part(gu, -1, 0, k), adjoint(u1));
  if (gu.defined() && right.defined())
    lower = sum_of(lower, neg(matmul(part(gu, -1, k, n), adjoint(part(lu, -1, k, n)))));
  if (gl.defined() && below.defined()) upper = sum_of(upper, neg(matmul(adjoint(below), part(gl, -2, k, m))));
  Tensor g;
  if (lower.defined()) g = tril(lower, -1);
  if (upper.defined()) g = sum_of(g, triu(upper));
  g = triangular(square, g, false, true, 'C');         // ... U1^-H
  g = triangular(square, g, true, false, 'C', true);   // L1^-H ...
  if (right.defined()) {
    const Tensor tail = gu.defined() ? triangular(square, part(gu, -1, k, n), true, false, 'C', true)
                                     : zeros(detail::joined(detail::batch_of(lu), {k, n - k}), lu.options());
    g = cat({g, tail}, -1);
  }
  if (below.defined()) {
    const Tensor tail = gl.defined() ? triangular(square, part(gl, -2, k, m), false, true, 'C')
                                     : zeros(detail::joined(detail::batch_of(lu), {m - k, k}), lu.options());
    g = cat({g, tail}, -2);
  }
  return g;
}

void check_factors(const char* op, const Tensor& lu, const Tensor& pivots) {
  detail::check_matrix(op, lu, "LU");
  detail::check_float(op, lu);
  NORCH_CHECK(pivots.dtype() == kInt32, op, ": LU_pivots is expected to be a contiguous tensor of torch.int32 dtype; "
              "got ", pivots.dtype());
  const int64_t k = std::min(lu.size(-2), lu.size(-1));
  NORCH_CHECK(pivots.dim() >= 1 && pivots.size(-1) == k && lu.dim() == pivots.dim() + 1, op,
              ": Number of pivots per batch should be same as the dimension of the matrix; LU has shape ", lu.sizes(),
              " and pivots ", pivots.sizes());
}

}  // namespace

namespace detail {

Tensor row_order(const Tensor& pivots, int64_t m) {
  Tensor order = new_tensor(joined(pivots.sizes().slice(0, pivots.sizes().size() - 1), {m}), kInt64, pivots.device());
  if (order.numel()) kernels::lu_order(order.device(), order, pivots.contiguous());
  return order;
}

LUFactor lu_of(const char* op, const Tensor& a, bool pivot) {
  check_matrix(op, a);
  check_float(op, a);
  const Ints batch = batch_of(a);
  LUFactor out{copy_columns(a), new_tensor(joined(batch, {std::min(a.size(-2), a.size(-1))}), kInt32, a.device()),
               zeros(batch, TensorOptions(kInt32).device(a.device()))};
  if (a.numel()) kernels::lu(a.device(), out.lu, out.pivots, out.info, pivot);
  return out;
}

}  // namespace detail

LUFactor lu_factor_ex(const Tensor& a, bool pivot, bool check_errors) {
  LUFactor out = detail::lu_of("linalg.lu_factor", a, pivot);
  if (check_errors) detail::check_info("linalg.lu_factor_ex", out.info, detail::Failure::ZeroPivot);
  if (recording(a)) {
    record("LinalgLuFactorExBackward0", {a}, {out.lu},
           [pivots = out.pivots, pivot, lu = save_output(out.lu)](Backward& ctx) {
             const Tensor factors = ctx.get(lu), g = ctx.grad();
             const int64_t m = factors.size(-2), n = factors.size(-1), k = std::min(m, n);
             const Tensor ga = factors_gradient(tril(part(g, -1, 0, k), -1), triu(part(g, -2, 0, k)), factors);
             ctx.set(0, pivot ? reordered(ga, argsort(detail::row_order(pivots, m))) : ga);
           });
  }
  return out;
}

LUFactor lu_factor(const Tensor& a, bool pivot) {
  LUFactor out = lu_factor_ex(a, pivot);
  detail::check_info("linalg.lu_factor", out.info, detail::Failure::ZeroPivot);
  return out;
}

PLU lu(const Tensor& a, bool pivot) {
  const LUFactor f = lu_factor_ex(a, pivot);
  return lu_unpack(f.lu, f.pivots, true, pivot);
}

Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left, bool adjoint) {
  constexpr const char* op = "linalg.lu_solve";
  detail::check_float(op, lu);
  NORCH_CHECK(pivots.dtype() == kInt32, op, ": pivots should be a Tensor of scalar type torch.int32");
  detail::check_square(op, lu, "LU");
  detail::check_matrix(op, b, "B");
  check_factors(op, lu, pivots);
  detail::check_alike(op, lu, "LU", b, "B");
  NORCH_CHECK(lu.sizes().slice(0, lu.sizes().size() - 1) == pivots.sizes(), op, ": Number of pivots per batch should be "
              "same as the dimension of the matrix");
  NORCH_CHECK(left ? lu.size(-2) == b.size(-2) : lu.size(-1) == b.size(-1), op,
              ": Incompatible shapes of A and B for the equation ", left ? "AX = B" : "XA = B", " (", lu.size(-2), "x",
              lu.size(-1), " and ", b.size(-2), "x", b.size(-1), ")");
  if (!left) return norch::adjoint(lu_solve(lu, pivots, norch::adjoint(b), true, !adjoint));
  const Tensor order = detail::row_order(pivots, lu.size(-2));
  if (!adjoint) return triangular(lu, triangular(lu, reordered(b, order), true, false, 'N', true), true, true);
  return reordered(triangular(lu, triangular(lu, b, true, true, 'C'), true, false, 'C', true), argsort(order));
}

}  // namespace linalg

linalg::PLU lu_unpack(const Tensor& lu, const Tensor& pivots, bool unpack_data, bool unpack_pivots) {
  linalg::detail::check_matrix("lu_unpack", lu, "LU_data");
  linalg::PLU out;
  const TensorOptions options = lu.options();
  const int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
  if (unpack_pivots) {
    linalg::check_factors("lu_unpack", lu, pivots);
    const Tensor order = linalg::detail::row_order(pivots, m);
    // P[order[j], j] = 1
    const Tensor p = zeros(linalg::detail::joined(linalg::detail::batch_of(lu), {m, m}), options);
    out.p = scatter_(p, -2, unsqueeze(order, -2), Scalar(1));
  } else {
    out.p = empty({0}, options);
  }
  if (unpack_data) {
    linalg::detail::check_float("lu_unpack", lu);
    out.l = tril(narrow(lu, -1, 0, k), -1) + eye(m, k, options);
    out.u = triu(narrow(lu, -2, 0, k));
  } else {
    out.l = empty({0}, options);
    out.u = empty({0}, options);
  }
  return out;
}

}  // namespace norch
