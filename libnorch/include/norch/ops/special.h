// Special functions, and a few of numbers. All are elementwise and broadcast; integers and bool give the default float
// dtype, unless it is said otherwise. They compute in float64 whatever the dtype, right to the last place or so.
#pragma once

#include <utility>

#include "norch/tensor.h"

namespace norch {

// ---- Bessel and Airy functions

/// The modified Bessel function of the first kind of order 0; special_i1 is that of order 1, special_i0e and
/// special_i1e are exp(-|x|) times them.
NORCH_API Tensor i0(const Tensor& x);
NORCH_API Tensor special_i0e(const Tensor& x);
NORCH_API Tensor special_i1(const Tensor& x);
NORCH_API Tensor special_i1e(const Tensor& x);
/// The modified Bessel functions once more, of both kinds, and those of the second kind times exp(x). Not
/// differentiable, like the other functions of this section that follow.
NORCH_API Tensor special_modified_bessel_i0(const Tensor& x);
NORCH_API Tensor special_modified_bessel_i1(const Tensor& x);
NORCH_API Tensor special_modified_bessel_k0(const Tensor& x);
NORCH_API Tensor special_modified_bessel_k1(const Tensor& x);
NORCH_API Tensor special_scaled_modified_bessel_k0(const Tensor& x);
NORCH_API Tensor special_scaled_modified_bessel_k1(const Tensor& x);
/// Bessel functions of the first (j) and second (y) kind. NaN for y of a negative number, -inf at 0.
NORCH_API Tensor special_bessel_j0(const Tensor& x);
NORCH_API Tensor special_bessel_j1(const Tensor& x);
NORCH_API Tensor special_bessel_y0(const Tensor& x);
NORCH_API Tensor special_bessel_y1(const Tensor& x);
/// sin(x) / x.
NORCH_API Tensor special_spherical_bessel_j0(const Tensor& x);
/// The Airy function Ai.
NORCH_API Tensor special_airy_ai(const Tensor& x);

// ---- error function and the normal distribution

/// exp(x^2) erfc(x).
NORCH_API Tensor special_erfcx(const Tensor& x);
/// The probability that a standard normal number is below x, its logarithm, and its inverse.
NORCH_API Tensor special_ndtr(const Tensor& x);
NORCH_API Tensor special_log_ndtr(const Tensor& x);
NORCH_API Tensor special_ndtri(const Tensor& x);
/// -x log(x); 0 at 0 and -inf below.
NORCH_API Tensor special_entr(const Tensor& x);
/// a log(1 + b); 0 for a == 0 unless b is NaN.
NORCH_API Tensor special_xlog1py(const Tensor& a, const Tensor& b);

// ---- gamma and zeta

/// The regularised lower incomplete gamma function P(a, x), differentiable in x; igammac is 1 - P.
/// \throws NotImplementedError in backward if a requires grad.
NORCH_API Tensor igamma(const Tensor& a, const Tensor& x);
NORCH_API Tensor igammac(const Tensor& a, const Tensor& x);
/// The logarithm of the multivariate gamma function of dimension p (without its constant for p == 1: lgamma(x)):
/// p (p - 1) / 4 log(pi) + sum over j < p of lgamma(x - j / 2). \throws Error for p < 1.
NORCH_API Tensor mvlgamma(const Tensor& x, int64_t p);
/// The Hurwitz zeta function: the sum over k >= 0 of (q + k)^-s, differentiable in q.
NORCH_API Tensor special_zeta(const Tensor& s, const Tensor& q);

// ---- orthogonal polynomials of degree n (cut to an integer; 0 below 0) at x. Not differentiable.

NORCH_API Tensor special_chebyshev_polynomial_t(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_chebyshev_polynomial_u(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_chebyshev_polynomial_v(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_chebyshev_polynomial_w(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_shifted_chebyshev_polynomial_t(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_shifted_chebyshev_polynomial_u(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_shifted_chebyshev_polynomial_v(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_shifted_chebyshev_polynomial_w(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_hermite_polynomial_h(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_hermite_polynomial_he(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_laguerre_polynomial_l(const Tensor& x, const Tensor& n);
NORCH_API Tensor special_legendre_polynomial_p(const Tensor& x, const Tensor& n);

// ---- numbers and their parts

/// The greatest common divisor and the least common multiple, of integers. \throws NotImplementedError for others.
NORCH_API Tensor gcd(const Tensor& a, const Tensor& b);
NORCH_API Tensor lcm(const Tensor& a, const Tensor& b);
/// (mantissa, exponent) with x = mantissa * 2^exponent and 0.5 <= |mantissa| < 1; the exponent is int32. Floats only.
NORCH_API std::pair<Tensor, Tensor> frexp(const Tensor& x);
/// x * 2^exponent.
NORCH_API Tensor ldexp(const Tensor& x, const Tensor& exponent);
/// 0 below 0, 1 above it, `values` at 0. Not differentiable. \throws Error for differing dtypes.
NORCH_API Tensor heaviside(const Tensor& x, const Tensor& values);

}  // namespace norch
