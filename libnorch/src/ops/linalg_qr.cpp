// QR factors and Householder reflectors.
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/join.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/slice.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch {

namespace linalg {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save_output;
using detail::triangular;

namespace {

Reflectors reflectors_of(const Tensor& a) {
  Reflectors out{detail::copy_columns(a), new_tensor(detail::joined(detail::batch_of(a), {std::min(a.size(-2), a.size(-1))}),
                                                     a.dtype(), a.device())};
  if (a.numel()) kernels::qr(a.device(), out.a, out.tau);
  return out;
}

/// Q C for the product Q of the reflectors in the columns of `a`, or Q^H C. In compact WY form (Schreiber and Van Loan
/// 1989) Q = I - V T V^H, where T is upper triangular with T^-1 = diag(1 / tau) + striu(V^H V); multiplied by diag(tau)
/// that is a system which scales of 0 leave solvable.
Tensor reflect(const Tensor& a, const Tensor& tau, const Tensor& c, bool adjoint_q) {
  const int64_t m = a.size(-2), count = tau.size(-1);
  const Tensor v = tril(narrow(a, -1, 0, count), -1) + eye(m, count, a.options());
  const Tensor vh = adjoint(v);
  const Tensor system = mul(unsqueeze(tau, -1), triu(matmul(vh, v), 1));
  const Tensor t = triangular(system, diag_embed(tau), true, true, 'N', true);
  return sub(c, matmul(v, matmul(adjoint_q ? adjoint(t) : t, matmul(vh, c))));
}

/// (..., m, n) with ones on the diagonal, a batch like that of `a`.
Tensor identity(const Tensor& a, int64_t m, int64_t n) {
  return expand(eye(m, n, a.options()), detail::joined(detail::batch_of(a), {m, n}));
}

void check_reflectors(const char* op, const Tensor& a, const Tensor& tau, const char* name) {
  detail::check_matrix(op, a, name);
  detail::check_float(op, a);
  NORCH_CHECK(tau.dim() == a.dim() - 1, op, ": Expected tau to have one dimension less than ", name, ", but got tau.ndim "
              "equal to ", tau.dim(), " and ", name, ".ndim is equal to ", a.dim());
  NORCH_CHECK(tau.sizes().slice(0, tau.sizes().size() - 1) == detail::batch_of(a), op, ": Expected batch dimensions of "
              "tau to be equal to ", name, ".shape[:-2], but got ", tau.sizes().slice(0, tau.sizes().size() - 1));
  NORCH_CHECK(tau.dtype() == a.dtype(), op, ": tau dtype ", tau.dtype(), " does not match ", name, " dtype ", a.dtype());
  NORCH_CHECK(tau.device() == a.device(), op, ": Expected tau and ", name, " to be on the same device, but found ",
              tau.device(), " and ", a.device());
}

/// Gradient of A = Q R for square R: [gQ + Q s(triu(gR R^H - Q^H gQ))] R^-H, where s(X) is X + X^H with half of its
/// diagonal (Roberts and Roberts 2020). One of gQ and gR may be undefined.
Tensor square_gradient(const Tensor& q, const Tensor& r, const Tensor& gq, const Tensor& gr) {
  Tensor x;
  if (gr.defined()) x = matmul(gr, adjoint(r));
  if (gq.defined()) {
    const Tensor y = matmul(adjoint(q), gq);
    x = x.defined() ? sub(x, y) : neg(y);
  }
  const Tensor upper = triu(x, 1);
  x = matmul(q, upper + adjoint(upper) + diag_embed(real(detail::diagonal_of(x))));
  if (gq.defined()) x = add(x, gq);
  return triangular(r, x, false, true, 'C');
}

/// The same for R with more columns than rows: A = (A1 A2), where R2 = Q^H A2 depends on Q.
Tensor qr_gradient(const Tensor& q, const Tensor& r, Tensor gq, const Tensor& gr) {
  const int64_t m = r.size(-2), n = r.size(-1);
  if (m == n) return square_gradient(q, r, gq, gr);
  const Tensor r1 = narrow(r, -1, 0, m), r2 = narrow(r, -1, m, n - m);
  if (!gr.defined()) {
    const Tensor g1 = square_gradient(q, r1, gq, gr);
    return cat({g1, zeros(r2.sizes(), r2.options())}, -1);
  }
  const Tensor gr2 = narrow(gr, -1, m, n - m);
  const Tensor through_q = matmul(matmul(q, r2), adjoint(gr2));
  gq = gq.defined() ? add(gq, through_q) : through_q;
  return cat({square_gradient(q, r1, gq, narrow(gr, -1, 0, m)), matmul(q, gr2)}, -1);
}

}  // namespace

QR qr(const Tensor& a, const std::string& mode) {
  constexpr const char* op = "linalg.qr";
  detail::check_matrix(op, a);
  detail::check_float(op, a);
  NORCH_CHECK(mode == "reduced" || mode == "complete" || mode == "r", "linalg.qr: qr received unrecognized mode '", mode,
              "' but expected one of 'reduced' (default), 'r', or 'complete'");
  const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
  const int64_t columns = mode == "complete" ? m : k;
  QR out;
  {
    NoGrad off;
    const Reflectors h = reflectors_of(a);
    out.r = triu(columns <= k ? narrow(h.a, -2, 0, columns) : h.a);
    out.q = mode == "r" ? empty({0}, a.options())
                        : reflect(narrow(h.a, -1, 0, k), h.tau, identity(a, m, columns), false);
  }
  if (recording(a)) {
    record("LinalgQrBackward0", {a}, {out.q, out.r},
           [mode, m, n, q = save_output(out.q, 0), r = save_output(out.r, 1)](Backward& ctx) {
             NORCH_CHECK(mode != "r", "linalg.qr: The derivative of linalg.qr depends on Q, which is not computed when "
                         "mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to require gradients.");
             NORCH_CHECK(mode != "complete" || m <= n, "linalg.qr: The QR decomposition is not differentiable when "
                         "mode='complete' and nrows > ncols");
             ctx.set(0, qr_gradient(ctx.get(q), ctx.get(r), ctx.grad(0), ctx.grad(1)));
           });
  }
  return out;
}

Tensor householder_product(const Tensor& a, const Tensor& tau) {
  constexpr const char* op = "linalg.householder_product";
  detail::check_matrix(op, a, "input");
  const int64_t m = a.size(-2), n = a.size(-1);
  NORCH_CHECK(m >= n, op, ": input.shape[-2] must be greater than or equal to input.shape[-1]");
  NORCH_CHECK(tau.dim() >= 1 && n >= tau.size(-1), op, ": input.shape[-1] must be greater than or equal to tau.shape[-1]");
  check_reflectors(op, a, tau, "input");
  return reflect(a, tau, identity(a, m, n), false);
}

}  // namespace linalg

Reflectors geqrf(const Tensor& a) {
  linalg::detail::check_matrix("geqrf", a, "input");
  linalg::detail::check_float("geqrf", a);
  Reflectors out = linalg::reflectors_of(a);
  if (autograd::recording(a)) {
    autograd::record("NotImplemented", {a}, {out.a, out.tau}, [](autograd::Backward&) {
      NORCH_RAISE(Error, "the derivative for 'geqrf' is not implemented; use linalg.qr");
    });
  }
  return out;
}

Tensor ormqr(const Tensor& a, const Tensor& tau, const Tensor& c, bool left, bool transposed) {
  constexpr const char* op = "ormqr";
  linalg::detail::check_matrix(op, a, "input");
  linalg::detail::check_matrix(op, c, "other");
  const int64_t rows = c.size(left ? -2 : -1);
  NORCH_CHECK(tau.dim() >= 1 && rows >= tau.size(-1), op, ": other.shape[", left ? -2 : -1,
              "] must be greater than or equal to tau.shape[-1]");
  NORCH_CHECK(rows == a.size(-2), op, ": other.shape[", left ? -2 : -1, "] must be equal to input.shape[-2]");
  NORCH_CHECK(tau.size(-1) <= a.size(-1), op, ": tau.shape[-1] must be equal to min(other.shape[", left ? -2 : -1,
              "], input.shape[-1])");
  linalg::check_reflectors(op, a, tau, "input");
  NORCH_CHECK(c.dim() == a.dim() && linalg::detail::batch_of(c) == linalg::detail::batch_of(a), op,
              ": Expected batch dimensions of other to be equal to input.shape[:-2], but got ",
              linalg::detail::batch_of(c));
  linalg::detail::check_alike(op, a, "input", c, "other");
  // C Q = (Q^H C^H)^H
  return left ? linalg::reflect(a, tau, c, transposed)
              : adjoint(linalg::reflect(a, tau, adjoint(c), !transposed));
}

linalg::QR qr(const Tensor& a, bool some) { return linalg::qr(a, some ? "reduced" : "complete"); }

}  // namespace norch
