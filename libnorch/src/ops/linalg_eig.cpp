// Eigenvalues.
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch::linalg {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save_output;

namespace {

Eigen eigh_op(const char* op, const Tensor& a, const std::string& uplo, bool vectors) {
  detail::check_square(op, a);
  detail::check_float(op, a);
  NORCH_CHECK(uplo == "L" || uplo == "l" || uplo == "U" || uplo == "u", op, ": Expected UPLO argument to be 'L' or 'U', "
              "but got ", uplo);
  const Ints batch = detail::batch_of(a);
  Eigen out{new_tensor(detail::joined(batch, {a.size(-1)}), to_real(a.dtype()), a.device()), detail::copy_columns(a)};
  if (a.numel()) {
    const Tensor info = zeros(batch, TensorOptions(kInt32).device(a.device()));
    kernels::eigh(a.device(), out.vectors, out.values, info, vectors, uplo == "U" || uplo == "u");
    detail::check_info(op, info, detail::Failure::Eigen);
  }
  return out;
}

/// Complex eigenvectors are unique up to phases only: a function that depends on those has no gradient.
void check_phase(const char* op, const Tensor& x) {
  NoGrad off;
  const Tensor phase = imag(detail::diagonal_of(x));
  NORCH_CHECK(allclose(phase, zeros_like(phase), 1e-2, 1e-2), op, ": The eigenvectors in the complex case are specified "
              "up to multiplication by e^{i phi}. The specified loss function depends on this quantity, so it is "
              "ill-defined.");
}

Eigen eig_op(const char* op, const Tensor& a, bool vectors) {
  detail::check_square(op, a);
  detail::check_float(op, a);
  const Ints batch = detail::batch_of(a);
  const DType type = to_complex(a.dtype());
  Eigen out;
  out.values = new_tensor(detail::joined(batch, {a.size(-1)}), type, a.device());
  if (vectors) out.vectors = detail::new_columns(a.sizes(), type, a.device());
  if (a.numel()) {
    NORCH_CHECK(all(isfinite(a.detach())).item<bool>(), op, ": input tensor should not contain infs or NaNs.");
    const Tensor info = zeros(batch, TensorOptions(kInt32).device(a.device()));
    kernels::eig(a.device(), detail::copy_columns(a), out.values, out.vectors, info);
    detail::check_info(op, info, detail::Failure::Eigen);
  }
  return out;
}

}  // namespace

Eigen eig(const Tensor& a) {
  const Eigen out = eig_op("linalg.eig", a, true);
  if (recording(a)) {
    record("LinalgEigBackward0", {a}, {out.values, out.vectors},
           [w = save_output(out.values, 0), v = save_output(out.vectors, 1)](Backward& ctx) {
             // V^-H (diag(gw) + (V^H gV - V^H V diag(Re V^H gV)) / conj(E)) V^H, E[i, j] = w[j] - w[i] (Boeddeker 2017).
             const Tensor vectors = ctx.get(v), vh = adjoint(vectors), gw = ctx.grad(0), gv = ctx.grad(1);
             if (!gv.defined()) return ctx.set(0, solve(vh, mul(unsqueeze(gw, -1), vh)));
             const Tensor values = conj(ctx.get(w)), x = matmul(vh, gv), d = detail::diagonal_of(x);
             check_phase("linalg_eig_backward", x);
             Tensor g = sub(x, matmul(vh, mul(vectors, unsqueeze(real(d), -2))));
             g = sub(g, diag_embed(detail::diagonal_of(g)));
             g = div(g, sub(unsqueeze(values, -2), unsqueeze(values, -1)) + detail::identity_like(values, values.size(-1)));
             if (gw.defined()) g = add(g, diag_embed(gw));
             ctx.set(0, solve(vh, matmul(g, vh)));
           });
  }
  return out;
}

Tensor eigvals(const Tensor& a) {
  // The gradient needs the vectors.
  return recording(a) ? eig(a).values : eig_op("linalg.eigvals", a, false).values;
}

Eigen eigh(const Tensor& a, const std::string& uplo) {
  const Eigen out = eigh_op("linalg.eigh", a, uplo, true);
  if (recording(a)) {
    record("LinalgEighBackward0", {a}, {out.values, out.vectors},
           [w = save_output(out.values, 0), v = save_output(out.vectors, 1)](Backward& ctx) {
             // V (diag(gw) + X / E) V^H with E[i, j] = w[j] - w[i] off the diagonal (Giles 2008), where X is the
             // skew part of V^H gV: then the gradient is symmetric.
             const Tensor vectors = ctx.get(v), vh = adjoint(vectors), gw = ctx.grad(0), gv = ctx.grad(1);
             if (!gv.defined()) return ctx.set(0, matmul(mul(vectors, unsqueeze(gw, -2)), vh));
             const Tensor values = ctx.get(w), one = detail::identity_like(values, values.size(-1));
             const Tensor y = matmul(vh, gv);
             if (y.is_complex()) check_phase("linalg_eigh_backward", y);
             const Tensor x = sub(y, adjoint(y)) * Scalar(0.5);
             const Tensor e = sub(unsqueeze(values, -2), unsqueeze(values, -1)) + one;
             Tensor g = div(x, e);
             if (gw.defined()) g = add(g, diag_embed(gw));
             ctx.set(0, matmul(vectors, matmul(g, vh)));
           });
  }
  return out;
}

Tensor eigvalsh(const Tensor& a, const std::string& uplo) {
  // The gradient needs the vectors.
  return recording(a) ? eigh(a, uplo).values : eigh_op("linalg.eigvalsh", a, uplo, false).values;
}

}  // namespace norch::linalg
