// Determinants, from LU factors.
#include <cmath>

#include "autograd/record.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
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
using detail::diagonal_of;

namespace {

/// 1 or -1: the determinant of P.
Tensor permutation_sign(const LUFactor& f) {
  const Tensor in_place = arange(1, f.pivots.size(-1) + 1, 1, f.pivots.options());
  const Tensor swaps = sum(ne(f.pivots, in_place), {-1});
  return (remainder(swaps, Tensor::wrap(2)) * Scalar(-2) + Scalar(1)).to(to_real(f.lu.dtype()));
}

/// The product of U's diagonal, with P's sign.
Tensor det_of(const LUFactor& f) { return mul(prod(diagonal_of(f.lu), {-1}), permutation_sign(f)); }

/// What to add to U's diagonal so that none of it is 0. The determinant is a smooth function, so its derivative at a
/// singular matrix is, up to rounding, that at a close one.
Tensor nudge(const Tensor& lu) {
  const Tensor d = diagonal_of(lu), size = abs(d);
  const Tensor largest = amax(size, {-1}, true);
  const Tensor step = where(eq(largest, Tensor::wrap(0)), ones_like(largest), largest) *
                      Scalar(detail::epsilon_of(lu.dtype()));
  return where(eq(d, Tensor::wrap(0)), expand_as(step, d), zeros_like(size)).to(lu.dtype());
}

/// A^-H times the numbers `scale`, one per matrix.
Tensor scaled_inverse(const LUFactor& f, const Tensor& scale) {
  const Tensor d = expand(unsqueeze(scale, -1), f.lu.sizes().slice(0, f.lu.sizes().size() - 1));
  return lu_solve(f.lu, f.pivots, diag_embed(d).to(f.lu.dtype()), true, true);
}
Tensor scaled_inverse(const Tensor& a, const Tensor& scale) {
  const Tensor d = expand(unsqueeze(scale, -1), a.sizes().slice(0, a.sizes().size() - 1));
  return solve_ex(adjoint(a), diag_embed(d).to(a.dtype())).result;
}

/// That of a tensor without elements: none, but in the graph.
Tensor empty_gradient(const Tensor& a, const Tensor& grad) { return mul(a, unsqueeze(unsqueeze(grad, -1), -1)); }

}  // namespace

Tensor det(const Tensor& a) {
  detail::check_square("linalg.det", a);
  detail::check_float("linalg.det", a);
  LUFactor f;
  Tensor out;
  {
    NoGrad off;
    f = detail::lu_of("linalg.det", a);
    out = det_of(f);
  }
  if (recording(a)) {
    record("LinalgDetBackward0", {a}, {out}, [f, a = save(a)](Backward& ctx) {
      if (f.lu.numel() == 0) return ctx.set(0, empty_gradient(ctx.get(a), ctx.grad()));
      // conj(det(A)) A^-H: the cofactors. Where U has a zero on its diagonal, those of a matrix that lacks it.
      Tensor step;
      LUFactor near = f;
      {
        NoGrad off;
        step = diag_embed(nudge(f.lu));
        near.lu = add(f.lu, step);
      }
      if (!autograd::grad_enabled()) return ctx.set(0, scaled_inverse(near, mul(ctx.grad(), conj(det_of(near)))));
      const PLU p = lu_unpack(f.lu, f.pivots);
      const Tensor x = add(ctx.get(a), matmul(p.p, matmul(p.l, step)));
      ctx.set(0, scaled_inverse(x, mul(ctx.grad(), conj(det(x)))));
    });
  }
  return out;
}

SlogDet slogdet(const Tensor& a) {
  detail::check_square("linalg.slogdet", a);
  detail::check_float("linalg.slogdet", a);
  LUFactor f;
  SlogDet out;
  {
    NoGrad off;
    f = detail::lu_of("linalg.slogdet", a);
    const Tensor d = diagonal_of(f.lu);
    out.sign = mul(prod(sgn(d), {-1}), permutation_sign(f));
    out.logabsdet = sum(log(abs(d)), {-1});
  }
  if (recording(a)) {
    record("LinalgSlogdetBackward0", {a}, {out.sign, out.logabsdet}, [f, a = save(a), s = save_output(out.sign, 0)](Backward& ctx) {
      // d(log det) = tr(A^-1 dA): its real part is that of logabsdet, its imaginary part turns the sign. The sign of a real
      // determinant is constant.
      Tensor scale = ctx.grad(1);
      if (f.lu.is_complex() && ctx.grad(0).defined()) {
        const Tensor turn = imag(mul(conj(ctx.grad(0)), ctx.get(s)));
        scale = complex(scale.defined() ? scale : zeros_like(turn), neg(turn));
      }
      if (!scale.defined()) return;
      if (f.lu.numel() == 0) return ctx.set(0, empty_gradient(ctx.get(a), scale));
      ctx.set(0, autograd::grad_enabled() ? scaled_inverse(ctx.get(a), scale) : scaled_inverse(f, scale));
    });
  }
  return out;
}

}  // namespace linalg

Tensor logdet(const Tensor& a) {
  linalg::detail::check_square("logdet", a);
  linalg::detail::check_float("logdet", a);
  const linalg::SlogDet r = linalg::slogdet(a);
  if (a.is_complex()) return add(r.logabsdet, log(r.sign));
  return masked_fill(r.logabsdet, lt(r.sign, Tensor::wrap(0)), Tensor::wrap(std::nan("")));
}

}  // namespace norch
