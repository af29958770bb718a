// Elementwise kernels of special functions. They compute in double whatever the dtype (the polynomials in float or
// double), one number at a time: what they take, branches and long series, does not vectorise.
#pragma once

#include "kernels/kernel.h"
#include "kernels/plan.h"
#include "kernels/special/bessel.h"
#include "kernels/special/error.h"
#include "kernels/special/gamma.h"
#include "kernels/special/polynomials.h"

namespace norch::kernels {

// The ops and the functions that they stand for.
#define NORCH_SPECIAL_UNARY(X)                                                                                   \
  X(AiryAi, airy_ai) X(BesselJ0, bessel_j0) X(BesselJ1, bessel_j1) X(BesselY0, bessel_y0) X(BesselY1, bessel_y1) \
  X(Entr, entr) X(Erfcx, erfcx) X(FrexpExponent, exponent_of) X(FrexpMantissa, mantissa_of) X(I0, bessel_i0)     \
  X(I0e, bessel_i0e) X(I1, bessel_i1) X(I1e, bessel_i1e) X(K0, bessel_k0) X(K0e, bessel_k0e) X(K1, bessel_k1)    \
  X(K1e, bessel_k1e) X(LogNdtr, log_ndtr) X(Ndtr, ndtr) X(Ndtri, ndtri) X(SphericalBesselJ0, spherical_bessel_j0)
#define NORCH_SPECIAL_BINARY(X) X(Igamma, igamma) X(Igammac, igammac) X(Xlog1py, xlog1py) X(Zeta, zeta)
#define NORCH_POLYNOMIALS(X)                                                                                     \
  X(ChebyshevT, chebyshev_t) X(ChebyshevU, chebyshev_u) X(ChebyshevV, chebyshev_v) X(ChebyshevW, chebyshev_w)    \
  X(HermiteH, hermite_h) X(HermiteHe, hermite_he) X(LaguerreL, laguerre_l) X(LegendreP, legendre_p)              \
  X(ShiftedChebyshevT, shifted_chebyshev_t) X(ShiftedChebyshevU, shifted_chebyshev_u)                            \
  X(ShiftedChebyshevV, shifted_chebyshev_v) X(ShiftedChebyshevW, shifted_chebyshev_w)

#define NORCH_NAME(name, function) name,
enum class SpecialUnary : uint8_t { NORCH_SPECIAL_UNARY(NORCH_NAME) };
enum class SpecialBinary : uint8_t { NORCH_SPECIAL_BINARY(NORCH_NAME) NORCH_POLYNOMIALS(NORCH_NAME) };
#undef NORCH_NAME
enum class IntegerOp : uint8_t { Gcd, Lcm };

/// out = op(x) over a plan of operands {out, x} of one float dtype.
NORCH_KERNEL(special_unary, void(SpecialUnary op, const Plan& plan))
/// out = op(a, b) over a plan of operands {out, a, b} of one float dtype.
NORCH_KERNEL(special_binary, void(SpecialBinary op, const Plan& plan))
/// out = op(a, b) over a plan of operands {out, a, b}, all int64.
NORCH_KERNEL(integer_binary, void(IntegerOp op, const Plan& plan))

inline namespace NORCH_ISA {

NORCH_HD_LONG double mantissa_of(double x) {
  int e;
  return std::frexp(x, &e);
}
NORCH_HD_LONG double exponent_of(double x) {
  int e = 0;
  if (x - x == 0) std::frexp(x, &e);
  return e;
}

/// Not negative, but for the smallest number of all, whose magnitude wraps around.
NORCH_HD int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = b == -1 ? 0 : a % b;
    a = b;
    b = rest;
  }
  return a < 0 ? wrapping_sub<int64_t>(0, a) : a;
}
NORCH_HD int64_t lcm(int64_t a, int64_t b) {
  const int64_t divisor = gcd(a, b);
  if (divisor == 0) return 0;
  const int64_t product = wrapping_mul(integer_quotient(a, divisor), b);
  return product < 0 ? wrapping_sub<int64_t>(0, product) : product;
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
