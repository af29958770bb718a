// Factors of symmetric matrices: Cholesky, LDL.
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch {

namespace linalg {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save_output;
using detail::triangular;

namespace {

/// Gradient of A = L L^H: L^-H (X + X^H) / 2 L^-1, where X is tril(L^H gL) with half its diagonal (Murray 2016).
Tensor cholesky_gradient(const Tensor& gl, const Tensor& l) {
  const Tensor y = matmul(adjoint(l), gl);
  const Tensor x = tril(y, -1) + diag_embed(detail::diagonal_of(y) * Scalar(0.5));
  const Tensor sym = (x + adjoint(x)) * Scalar(0.5);
  return triangular(l, triangular(l, sym, true, false, 'C'), false, false);
}

WithInfo cholesky_op(const char* op, const Tensor& a, bool upper) {
  detail::check_square(op, a);
  detail::check_float(op, a);
  const Tensor factor = detail::copy_columns(a);
  const Tensor info = zeros(detail::batch_of(a), TensorOptions(kInt32).device(a.device()));
  if (a.numel()) kernels::cholesky(a.device(), factor, info, upper);
  const Tensor out = upper ? triu_(factor) : tril_(factor);
  if (recording(a)) {
    record("LinalgCholeskyExBackward0", {a}, {out}, [upper, out = save_output(out)](Backward& ctx) {
      const Tensor f = ctx.get(out);
      ctx.set(0, upper ? cholesky_gradient(adjoint(ctx.grad()), adjoint(f)) : cholesky_gradient(ctx.grad(), f));
    });
  }
  return {out, info};
}

}  // namespace

WithInfo cholesky_ex(const Tensor& a, bool upper, bool check_errors) {
  WithInfo out = cholesky_op("linalg.cholesky", a, upper);
  if (check_errors) detail::check_info("linalg.cholesky_ex", out.info, detail::Failure::Cholesky);
  return out;
}

Tensor cholesky(const Tensor& a, bool upper) {
  const WithInfo out = cholesky_op("linalg.cholesky", a, upper);
  detail::check_info("linalg.cholesky", out.info, detail::Failure::Cholesky);
  return out.result;
}

LDLFactor ldl_factor_ex(const Tensor& a, bool hermitian, bool check_errors) {
  constexpr const char* op = "linalg.ldl_factor_ex";
  detail::check_square(op, a);
  detail::check_float(op, a);
  const Ints batch = detail::batch_of(a);
  LDLFactor out{detail::copy_columns(a), new_tensor(detail::joined(batch, {a.size(-1)}), kInt32, a.device()),
                zeros(batch, TensorOptions(kInt32).device(a.device()))};
  if (a.numel()) kernels::ldl(a.device(), out.ld, out.pivots, out.info, hermitian);
  tril_(out.ld);
  if (check_errors) detail::check_info(op, out.info, detail::Failure::ZeroPivot);
  if (recording(a)) {
    record("NotImplemented", {a}, {out.ld}, [](Backward&) {
      NORCH_RAISE(Error, "the derivative for 'linalg.ldl_factor' is not implemented; use linalg.cholesky or linalg.lu");
    });
  }
  return out;
}

LDLFactor ldl_factor(const Tensor& a, bool hermitian) {
  LDLFactor out = ldl_factor_ex(a, hermitian);
  detail::check_info("linalg.ldl_factor", out.info, detail::Failure::ZeroPivot);
  return out;
}

Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b, bool hermitian) {
  constexpr const char* op = "linalg.ldl_solve";
  detail::check_square(op, ld, "LD");
  detail::check_matrix(op, b, "B");
  detail::check_float(op, ld);
  detail::check_alike(op, ld, "LD", b, "B");
  NORCH_CHECK(ld.size(-1) == b.size(-2), op, ": Incompatible shapes of A and B for the equation AX = B (", ld.size(-2),
              "x", ld.size(-1), " and ", b.size(-2), "x", b.size(-1), ")");
  NORCH_CHECK(pivots.dtype() == kInt32, op, ": Expected pivots to be integers of dtype int32. Got ", pivots.dtype());
  NORCH_CHECK(pivots.sizes() == ld.sizes().slice(0, ld.sizes().size() - 1), op, ": Expected LD.shape[:-1] and "
              "pivots.shape to be the same, but got pivots with shape ", pivots.sizes(), " instead");
  const Shape batch = broadcast_shapes(detail::batch_of(ld), detail::batch_of(b), op);
  const Tensor x = detail::copy_columns(b, batch);
  const Tensor p = expand(pivots, detail::joined(batch, {ld.size(-1)})).contiguous();
  if (x.numel()) kernels::ldl_solve(x.device(), detail::as_columns(ld, batch), p, x, hermitian);
  if (recording(ld, b)) {
    record("NotImplemented", {ld, b}, {x}, [](Backward&) {
      NORCH_RAISE(Error, "the derivative for 'linalg.ldl_solve' is not implemented; use linalg.solve");
    });
  }
  return x;
}

}  // namespace linalg

Tensor cholesky(const Tensor& a, bool upper) {
  const linalg::WithInfo out = linalg::cholesky_op("cholesky", a, upper);
  linalg::detail::check_info("cholesky", out.info, linalg::detail::Failure::Cholesky);
  return out.result;
}

}  // namespace norch
