#include "norch/ops/special.h"

#include <cmath>

#include "autograd/record.h"
#include "kernels/special.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::IntegerOp;
using kernels::SpecialBinary;
using kernels::SpecialUnary;

namespace {

Tensor zero() { return Tensor::wrap(0); }

Tensor run(const char* name, SpecialUnary op, const Tensor& x) {
  const DType type = float_type(x.dtype());
  Elementwise e(name, {x}, type, type, {});
  kernels::special_unary(e.device, op, e.plan);
  return e.finish();
}

Tensor run(const char* name, SpecialBinary op, const Tensor& a, const Tensor& b) {
  const DType type = float_type(result_type(a, b));
  Elementwise e(name, {a, b}, type, type, {});
  kernels::special_binary(e.device, op, e.plan);
  return e.finish();
}

/// Records `slope(x, y)` as the derivative of y = op(x).
template <class S>
Tensor function(const char* name, const char* node, SpecialUnary op, const Tensor& x, S slope) {
  Tensor result = run(name, op, x);
  if (recording(x)) {
    record(node, {x}, {result}, [x = save(x), y = save_output(result), slope](Backward& ctx) {
      ctx.set(0, ctx.grad() * slope(ctx.get(x), ctx.get(y)));
    });
  }
  return result;
}

/// A function of two numbers; `gradient(ctx, g, a, b)` sets what it can.
template <class G>
Tensor function(const char* name, const char* node, SpecialBinary op, const Tensor& a, const Tensor& b, G gradient) {
  Tensor result = run(name, op, a, b);
  if (recording(a, b)) {
    record(node, {a, b}, {result}, [a = save(a), b = save(b), gradient](Backward& ctx) {
      gradient(ctx, ctx.grad(), ctx.get(a), ctx.get(b));
    });
  }
  return result;
}

[[noreturn]] void no_derivative(const char* what) {
  NORCH_RAISE(NotImplementedError, "the derivative for '", what, "' is not implemented.");
}

const double kSqrtPi = std::sqrt(3.14159265358979323846), kSqrt2 = std::sqrt(2.0);

}  // namespace

#define NORCH_SLOPE(...) []([[maybe_unused]] const Tensor& x, [[maybe_unused]] const Tensor& y) { return __VA_ARGS__; }
#define NORCH_PLAIN(name, Op) \
  Tensor name(const Tensor& x) { return run(#name, SpecialUnary::Op, x.detach()); }

Tensor i0(const Tensor& x) { return function("i0", "I0Backward0", SpecialUnary::I0, x, NORCH_SLOPE(special_i1(x))); }
Tensor special_i0e(const Tensor& x) {
  return function("special_i0e", "SpecialI0EBackward0", SpecialUnary::I0e, x,
                  NORCH_SLOPE(special_i1e(x) - sign(x) * y));
}

/// The derivative `slope(x)`, which divides by x, and its limit 1/2 near 0 (and for NaN, as in PyTorch).
template <class S>
static Tensor away_from_zero(const Tensor& x, S slope) {
  const double eps = x.dtype() == DType::Float64 ? 2.220446049250313e-16 : 1.1920928955078125e-07;
  const Tensor far = gt(abs(x.detach()), Tensor::wrap(eps));
  return where(far, slope(where(far, x, Tensor::wrap(eps))), Tensor::wrap(0.5));
}
Tensor special_i1(const Tensor& x) {
  return function("special_i1", "SpecialI1Backward0", SpecialUnary::I1, x,
                  NORCH_SLOPE(away_from_zero(x, [&](const Tensor& x) { return i0(x) - y / x; })));
}
Tensor special_i1e(const Tensor& x) {
  return function("special_i1e", "SpecialI1EBackward0", SpecialUnary::I1e, x, NORCH_SLOPE(away_from_zero(x, [&](const Tensor& x) {
                    return special_i0e(x) - y * (sign(x) + reciprocal(x));
                  })));
}
NORCH_PLAIN(special_modified_bessel_i0, I0)
NORCH_PLAIN(special_modified_bessel_i1, I1)
NORCH_PLAIN(special_modified_bessel_k0, K0)
NORCH_PLAIN(special_modified_bessel_k1, K1)
NORCH_PLAIN(special_scaled_modified_bessel_k0, K0e)
NORCH_PLAIN(special_scaled_modified_bessel_k1, K1e)
NORCH_PLAIN(special_bessel_j0, BesselJ0)
NORCH_PLAIN(special_bessel_j1, BesselJ1)
NORCH_PLAIN(special_bessel_y0, BesselY0)
NORCH_PLAIN(special_bessel_y1, BesselY1)
NORCH_PLAIN(special_spherical_bessel_j0, SphericalBesselJ0)
NORCH_PLAIN(special_airy_ai, AiryAi)

Tensor special_erfcx(const Tensor& x) {
  return function("special_erfcx", "SpecialErfcxBackward0", SpecialUnary::Erfcx, x,
                  NORCH_SLOPE(2.0 * x * y - Scalar(2 / kSqrtPi)));
}
Tensor special_ndtr(const Tensor& x) {
  return function("special_ndtr", "SpecialNdtrBackward0", SpecialUnary::Ndtr, x,
                  NORCH_SLOPE(exp(x * x * -0.5) * Scalar(1 / (kSqrt2 * kSqrtPi))));
}
Tensor special_log_ndtr(const Tensor& x) {
  return function("special_log_ndtr", "SpecialLogNdtrBackward0", SpecialUnary::LogNdtr, x,
                  NORCH_SLOPE(Scalar(kSqrt2 / kSqrtPi) / special_erfcx(x * Scalar(-1 / kSqrt2))));
}
Tensor special_ndtri(const Tensor& x) {
  return function("special_ndtri", "SpecialNdtriBackward0", SpecialUnary::Ndtri, x,
                  NORCH_SLOPE(exp(y * y * 0.5) * Scalar(kSqrt2 * kSqrtPi)));
}
Tensor special_entr(const Tensor& x) {
  return function("special_entr", "SpecialEntrBackward0", SpecialUnary::Entr, x, NORCH_SLOPE(neg(log(x) + 1.0)));
}
Tensor special_xlog1py(const Tensor& a, const Tensor& b) {
  return function("special_xlog1py", "SpecialXlog1PyBackward0", SpecialBinary::Xlog1py, a, b,
                  [](Backward& ctx, const Tensor& g, const Tensor& a, const Tensor& b) {
                    if (ctx.needs(0)) {
                      const Tensor cut = logical_and(eq(a, zero()), le(b, Tensor::wrap(-1)));
                      ctx.set(0, g * masked_fill(log1p(b), cut, zero()));
                    }
                    if (ctx.needs(1)) ctx.set(1, g * a / (b + 1.0));
                  });
}

static Tensor incomplete_gamma(const char* name, const char* node, SpecialBinary op, const Tensor& a, const Tensor& x,
                               double factor) {
  return function(name, node, op, a, x, [name, factor](Backward& ctx, const Tensor& g, const Tensor& a, const Tensor& x) {
    if (ctx.needs(0)) no_derivative(name);
    if (ctx.needs(1)) ctx.set(1, g * exp((a - 1.0) * log(x) - x - lgamma(a)) * Scalar(factor));
  });
}
Tensor igamma(const Tensor& a, const Tensor& x) {
  return incomplete_gamma("igamma", "IgammaBackward0", SpecialBinary::Igamma, a, x, 1);
}
Tensor igammac(const Tensor& a, const Tensor& x) {
  return incomplete_gamma("igammac", "IgammacBackward0", SpecialBinary::Igammac, a, x, -1);
}

Tensor mvlgamma(const Tensor& x, int64_t p) {
  NORCH_CHECK(p >= 1 && p <= 100000, "mvlgamma: p has to be greater than or equal to 1 (and at most 100000), got ", p);
  const Tensor shifts = arange(0.0, static_cast<double>(p), 1, TensorOptions(float_type(x.dtype())).device(x.device()));
  const Tensor terms = lgamma(sub(unsqueeze(x, -1), shifts * 0.5));
  return sum(terms, {-1}) + Scalar(static_cast<double>(p * (p - 1)) / 4 * std::log(3.14159265358979323846));
}

Tensor special_zeta(const Tensor& s, const Tensor& q) {
  return function("special_zeta", "SpecialZetaBackward0", SpecialBinary::Zeta, s, q,
                  [](Backward& ctx, const Tensor& g, const Tensor& s, const Tensor& q) {
                    if (ctx.needs(0)) no_derivative("special_zeta: self");
                    if (ctx.needs(1)) ctx.set(1, neg(g * s * special_zeta(s + 1.0, q)));
                  });
}

#define NORCH_POLYNOMIAL(name, Op)                                                     \
  Tensor special_##name(const Tensor& x, const Tensor& n) {                            \
    return run("special_" #name, SpecialBinary::Op, x, n);                       \
  }
NORCH_POLYNOMIAL(chebyshev_polynomial_t, ChebyshevT)
NORCH_POLYNOMIAL(chebyshev_polynomial_u, ChebyshevU)
NORCH_POLYNOMIAL(chebyshev_polynomial_v, ChebyshevV)
NORCH_POLYNOMIAL(chebyshev_polynomial_w, ChebyshevW)
NORCH_POLYNOMIAL(shifted_chebyshev_polynomial_t, ShiftedChebyshevT)
NORCH_POLYNOMIAL(shifted_chebyshev_polynomial_u, ShiftedChebyshevU)
NORCH_POLYNOMIAL(shifted_chebyshev_polynomial_v, ShiftedChebyshevV)
NORCH_POLYNOMIAL(shifted_chebyshev_polynomial_w, ShiftedChebyshevW)
NORCH_POLYNOMIAL(hermite_polynomial_h, HermiteH)
NORCH_POLYNOMIAL(hermite_polynomial_he, HermiteHe)
NORCH_POLYNOMIAL(laguerre_polynomial_l, LaguerreL)
NORCH_POLYNOMIAL(legendre_polynomial_p, LegendreP)

static Tensor of_integers(const char* name, IntegerOp op, const Tensor& a, const Tensor& b) {
  const DType type = result_type(a, b);
  NORCH_CHECK_IMPLEMENTED(is_integral(type), name, ": not implemented for ", type, "; convert to an integer dtype");
  // What a wider 0-d operand holds has to fit into the common dtype first.
  const auto fitted = [&](const Tensor& t) { return t.dtype() == type ? t : t.to(type); };
  Elementwise e(name, {fitted(a), fitted(b)}, DType::Int64, DType::Int64, {});
  kernels::integer_binary(e.device, op, e.plan);
  return e.finish().to(type);
}
Tensor gcd(const Tensor& a, const Tensor& b) { return of_integers("gcd", IntegerOp::Gcd, a, b); }
Tensor lcm(const Tensor& a, const Tensor& b) { return of_integers("lcm", IntegerOp::Lcm, a, b); }

std::pair<Tensor, Tensor> frexp(const Tensor& x) {
  NORCH_CHECK(x.is_floating_point(), "frexp() only supports floating-point dtypes, got ", x.dtype());
  const Tensor exponent = run("frexp", SpecialUnary::FrexpExponent, x.detach()).to(DType::Int32);
  Tensor mantissa = run("frexp", SpecialUnary::FrexpMantissa, x.detach());
  if (recording(x)) {
    record("FrexpBackward0", {x}, {mantissa}, [e = save(exponent)](Backward& ctx) {
      ctx.set(0, ctx.grad() / exp2(ctx.get(e).to(ctx.grad().dtype())));
    });
  }
  return {mantissa, exponent};
}

Tensor ldexp(const Tensor& x, const Tensor& exponent) {
  broadcast_shapes(x.sizes(), exponent.sizes(), "ldexp");
  const DType type = float_type(result_type(x, exponent));  // an integer exponent does not widen 16-bit floats
  const Tensor two = Tensor::wrap(2.0);
  if (!is_integral(exponent.dtype(), true)) return mul(x, pow(two, exponent)).to(type);
  // In three steps, each of them by a power that floats hold: 0 and infinity stay what they are, whatever the exponent, and
  // results within the range are right where the power is not.
  const bool wide = itemsize(to_real(type)) == 8;
  const double most = wide ? 2400 : 360;
  const Tensor e = clamp_max(clamp_min(exponent.to(wide ? DType::Float64 : DType::Float32), Tensor::wrap(-most)),
                             Tensor::wrap(most));
  const Tensor third = trunc(div(e, Tensor::wrap(3.0))), step = pow(two, third);
  const Tensor start = x.to(is_complex(type) ? type : e.dtype());
  return mul(mul(mul(start, step), step), pow(two, sub(e, mul(third, two)))).to(type);
}

Tensor heaviside(const Tensor& x, const Tensor& values) {
  NORCH_CHECK(x.dtype() == values.dtype(), "heaviside is not yet implemented for tensors with different dtypes: ",
              x.dtype(), " and ", values.dtype());
  broadcast_shapes(x.sizes(), values.sizes(), "heaviside");
  const Tensor from = x.detach();
  return where(eq(from, zero()), values.detach(), gt(from, zero()).to(x.dtype()));
}

}  // namespace norch
