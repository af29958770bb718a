// Singular values and what follows from them.
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/random.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch {

namespace linalg {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using detail::batch_of;
using detail::joined;

namespace {

Tensor columns_times(const Tensor& x, const Tensor& s) { return mul(x, unsqueeze(s, -2)); }
Tensor rows_times(const Tensor& s, const Tensor& x) { return mul(unsqueeze(s, -1), x); }
Tensor skew(const Tensor& x) { return sub(x, adjoint(x)); }

/// Complex singular vectors are unique up to phases only: a function that depends on those has no gradient.
void check_phase(const Tensor& uu, const Tensor& vv) {
  NoGrad off;
  Tensor phase;
  for (const Tensor* x : {&uu, &vv}) {
    if (!x->defined()) continue;
    const Tensor part = imag(detail::diagonal_of(*x));
    phase = phase.defined() ? add(phase, part) : part;
  }
  NORCH_CHECK(allclose(phase, zeros_like(phase), 1e-2, 1e-2), "svd_backward: The singular vectors in the complex case are "
              "specified up to multiplication by e^{i phi}. The specified loss function depends on this phase term, "
              "making it ill-defined.");
}

/// Gradient of A = U diag(S) Vh for k columns of U and k rows of Vh (Townsend 2016). Undefined gradients are zero.
Tensor svd_gradient(const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& gu, const Tensor& gs,
                    const Tensor& gvh) {
  if (!gu.defined() && !gvh.defined()) return matmul(columns_times(u, gs), vh);
  const int64_t m = u.size(-2), k = s.size(-1), n = vh.size(-1);
  // E[i, j] = s[j]^2 - s[i]^2, and 1 on the diagonal, where its numerators are 0.
  const Tensor row = unsqueeze(s, -2), column = unsqueeze(s, -1);
  const Tensor uu = gu.defined() ? skew(matmul(adjoint(u), gu)) : Tensor();
  const Tensor vv = gvh.defined() ? skew(matmul(vh, adjoint(gvh))) : Tensor();
  if (u.is_complex()) check_phase(uu, vv);
  const Tensor e = mul(sub(row, column), add(row, column)) + detail::identity_like(s, k);
  Tensor g;
  if (uu.defined()) g = columns_times(uu, s);
  if (vv.defined()) {
    const Tensor x = rows_times(s, vv);
    g = g.defined() ? add(g, x) : x;
  }
  g = div(g, e);
  if (gs.defined()) g = add(g, diag_embed(gs));
  // A common phase of a column of U and a row of Vh is free, but not their difference.
  if (u.is_complex() && uu.defined() && vv.defined())
    g = add(g, diag_embed(div(detail::diagonal_of(uu), s * Scalar(2))));
  g = matmul(u, g);
  // The parts of gU and gVh outside the spaces of U and V.
  if (gu.defined() && m > k) {
    const Tensor x = div(gu, row);
    g = add(g, sub(x, matmul(u, matmul(adjoint(u), x))));
  }
  g = matmul(g, vh);
  if (gvh.defined() && n > k) {
    const Tensor x = div(gvh, column);
    g = add(g, matmul(u, sub(x, matmul(matmul(x, adjoint(vh)), vh))));
  }
  return g;
}

Tensor first(const Tensor& t, int64_t dim, int64_t k) { return t.defined() ? narrow(t, dim, 0, k) : t; }

SVD svd_op(const char* op, const Tensor& a, bool full, bool vectors, const std::optional<std::string>& driver) {
  detail::check_matrix(op, a);
  detail::check_float(op, a);
  if (driver) {
    NORCH_CHECK(a.is_cuda(), op, ": keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.");
    NORCH_CHECK(*driver == "gesvd" || *driver == "gesvdj" || *driver == "gesvda", op, ": unknown svd driver ", *driver,
                "; it is one of gesvd, gesvdj, gesvda");
  }
  const Ints batch = batch_of(a);
  const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
  SVD out;
  out.s = new_tensor(joined(batch, {k}), to_real(a.dtype()), a.device());
  if (vectors) {
    out.u = detail::new_columns(joined(batch, {m, full ? m : k}), a.dtype(), a.device());
    out.vh = detail::new_columns(joined(batch, {full ? n : k, n}), a.dtype(), a.device());
  }
  if (a.numel()) {
    const Tensor info = zeros(batch, TensorOptions(kInt32).device(a.device()));
    kernels::svd(a.device(), detail::copy_columns(a), out.u, out.s, out.vh, info);
    detail::check_info(op, info, detail::Failure::Svd);
  } else if (vectors && full) {  // nothing to factor: any orthogonal matrix will do
    NoGrad off;
    out.u = expand(detail::identity_like(a, m), joined(batch, {m, m})).contiguous();
    out.vh = expand(detail::identity_like(a, n), joined(batch, {n, n})).contiguous();
  }
  return out;
}

}  // namespace

SVD svd(const Tensor& a, bool full_matrices, const std::optional<std::string>& driver) {
  const SVD out = svd_op("linalg.svd", a, full_matrices, true, driver);
  if (recording(a)) {
    record("LinalgSvdBackward0", {a}, {out.u, out.s, out.vh},
           [u = save_output(out.u, 0), s = save_output(out.s, 1), vh = save_output(out.vh, 2)](Backward& ctx) {
             const Tensor values = ctx.get(s);
             const int64_t k = values.size(-1);
             ctx.set(0, svd_gradient(first(ctx.get(u), -1, k), values, first(ctx.get(vh), -2, k),
                                     first(ctx.grad(0), -1, k), ctx.grad(1), first(ctx.grad(2), -2, k)));
           });
  }
  return out;
}

Tensor svdvals(const Tensor& a, const std::optional<std::string>& driver) {
  // The gradient needs the vectors.
  return recording(a) ? linalg::svd(a, false, driver).s : svd_op("linalg.svdvals", a, false, false, driver).s;
}

namespace detail {

Tensor tolerance(const char* op, const Tensor& a, const Tensor& largest, const Tensor& atol, const Tensor& rtol) {
  for (const Tensor* t : {&atol, &rtol})
    NORCH_CHECK(!t->defined() || t->is_wrapped_number() || t->device() == a.device() || t->dim() == 0, op,
                ": tolerances have to be on the device of the input, ", a.device());
  const double standard = epsilon_of(a.dtype()) * static_cast<double>(std::max(a.size(-1), a.size(-2)));
  Tensor relative = rtol;
  if (!rtol.defined())
    relative = atol.defined() ? where(gt(atol, Tensor::wrap(0)), Tensor::wrap(0.0), Tensor::wrap(standard))
                              : Tensor::wrap(standard);
  relative = mul(relative, largest);
  return atol.defined() ? maximum(relative, atol.to(relative.device(), relative.dtype())) : relative;
}

/// d(pinv A) = -P dA P + P P^H dA^H (I - A P) + (I - P A) dA^H P^H P (Golub and Pereyra 1973).
Tensor pinv_gradient(const Tensor& grad, const Tensor& p, const Tensor& a) {
  const Tensor ph = adjoint(p), gh = adjoint(grad);
  if (a.size(-2) <= a.size(-1)) {
    const Tensor k = matmul(gh, p), kph = matmul(k, ph);
    return sub(add(sub(kph, matmul(matmul(a, p), kph)), matmul(matmul(ph, p), sub(gh, matmul(k, a)))),
               adjoint(matmul(p, k)));
  }
  const Tensor k = matmul(p, gh), phk = matmul(ph, k);
  return sub(add(matmul(matmul(sub(gh, matmul(a, k)), p), ph), sub(phk, matmul(matmul(phk, p), a))),
             adjoint(matmul(k, p)));
}

}  // namespace detail

Tensor pinv(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  constexpr const char* op = "linalg.pinv";
  detail::check_matrix(op, a);
  if (hermitian) detail::check_square(op, a);
  detail::check_float(op, a);
  Tensor out;
  {
    NoGrad off;
    if (a.numel() == 0) {
      out = empty(joined(batch_of(a), {a.size(-1), a.size(-2)}), a.options());
    } else {
      Tensor s, left, right;
      if (hermitian) {
        Eigen e = eigh(a);
        s = e.values;
        left = e.vectors;
        right = adjoint(e.vectors);
      } else {
        SVD f = linalg::svd(a, false);
        s = f.s;
        left = adjoint(f.vh);
        right = adjoint(f.u);
      }
      const Tensor size = abs(s), largest = amax(size, {-1}, true);
      const auto per_matrix = [](const Tensor& t) { return t.defined() && t.dim() > 0 ? unsqueeze(t, -1) : t; };
      const Tensor limit = detail::tolerance(op, a, largest, per_matrix(atol), per_matrix(rtol));
      const Tensor inverse = where(gt(size, limit), reciprocal(s), zeros_like(s));
      out = matmul(columns_times(left, inverse), right);
    }
  }
  if (recording(a)) {
    record("LinalgPinvBackward0", {a}, {out}, [a = save(a), p = save_output(out)](Backward& ctx) {
      ctx.set(0, detail::pinv_gradient(ctx.grad(), ctx.get(p), ctx.get(a)));
    });
  }
  return out;
}

Tensor matrix_rank(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  constexpr const char* op = "linalg.matrix_rank";
  detail::check_matrix(op, a);
  if (hermitian) detail::check_square(op, a);
  detail::check_float(op, a);
  NoGrad off;
  if (a.numel() == 0) return zeros(batch_of(a), TensorOptions(kInt64).device(a.device()));
  const Tensor s = hermitian ? abs(eigvalsh(a.detach())) : svdvals(a.detach());
  const Tensor limit = detail::tolerance(op, a, amax(s, {-1}), atol, rtol);
  return sum(gt(s, limit.dim() ? unsqueeze(limit, -1) : limit), {-1});
}

}  // namespace linalg

linalg::SVD svd(const Tensor& a, bool some, bool compute_uv) {
  linalg::detail::check_matrix("svd", a, "input");
  linalg::SVD out;
  if (compute_uv) {
    out = linalg::svd(a, !some);
    out.vh = adjoint(out.vh);
    return out;
  }
  out.s = linalg::svdvals(a);
  out.u = zeros(linalg::detail::joined(linalg::detail::batch_of(a), {a.size(-2), a.size(-2)}), a.options());
  out.vh = zeros(linalg::detail::joined(linalg::detail::batch_of(a), {a.size(-1), a.size(-1)}), a.options());
  return out;
}

Tensor pinverse(const Tensor& a, double rcond) { return linalg::pinv(a, Tensor(), Tensor::wrap(rcond)); }

linalg::SVD svd_lowrank(const Tensor& a, int64_t q, int64_t niter, const Tensor& m) {
  linalg::detail::check_matrix("svd_lowrank", a);
  linalg::detail::check_float("svd_lowrank", a);
  NORCH_CHECK_VALUE(q >= 0, "svd_lowrank: q(=", q, ") must be non-negative integer");
  NORCH_CHECK_VALUE(niter >= 0, "svd_lowrank: niter(=", niter, ") must be non-negative integer");
  const bool wide = a.size(-2) < a.size(-1);
  const Tensor centred = m.defined() ? sub(a, broadcast_to(m, a.sizes())) : a;
  const Tensor x = wide ? adjoint(centred) : centred, xh = adjoint(x);
  const TensorOptions options = a.options().dtype(to_real(a.dtype()));
  Tensor projection = randn({x.size(-1), q}, options);
  if (a.is_complex()) projection = complex(projection, randn({x.size(-1), q}, options));
  const auto basis = [](const Tensor& t) { return linalg::qr(t).q; };
  Tensor b = basis(matmul(x, projection));
  for (int64_t i = 0; i < niter; ++i) b = basis(matmul(x, basis(matmul(xh, b))));
  linalg::SVD out = linalg::svd(matmul(adjoint(b), x), false);
  out.u = matmul(b, out.u);
  out.vh = adjoint(out.vh);
  if (wide) std::swap(out.u, out.vh);
  return out;
}

linalg::SVD pca_lowrank(const Tensor& a, std::optional<int64_t> q, bool center, int64_t niter) {
  linalg::detail::check_matrix("pca_lowrank", a);
  const int64_t smallest = std::min(a.size(-2), a.size(-1));
  NORCH_CHECK_VALUE(!q || (*q >= 0 && *q <= smallest), "pca_lowrank: q(=", q.value_or(0), ") must be non-negative "
                    "integer and not greater than min(m, n)=", smallest);
  const int64_t rank = q ? *q : std::min(int64_t{6}, smallest);
  return svd_lowrank(center ? sub(a, mean(a, {-2}, true)) : a, rank, niter);
}

}  // namespace norch
