// Elementwise ops of one operand.
//
// Shape: the operand's. The forms ending in `_` write into their operand, whose dtype must be able to hold the result
// (RuntimeError otherwise). All are differentiable but for the tests.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

// ---- Functions of a real number: an integer or bool tensor gives the default float dtype.

/// Inverse cosine.
NORCH_API Tensor acos(const Tensor& x);
NORCH_API Tensor acos_(const Tensor& self);
/// Inverse hyperbolic cosine.
NORCH_API Tensor acosh(const Tensor& x);
NORCH_API Tensor acosh_(const Tensor& self);
/// Inverse sine.
NORCH_API Tensor asin(const Tensor& x);
NORCH_API Tensor asin_(const Tensor& self);
/// Inverse hyperbolic sine.
NORCH_API Tensor asinh(const Tensor& x);
NORCH_API Tensor asinh_(const Tensor& self);
/// Inverse tangent.
NORCH_API Tensor atan(const Tensor& x);
NORCH_API Tensor atan_(const Tensor& self);
/// Inverse hyperbolic tangent.
NORCH_API Tensor atanh(const Tensor& x);
NORCH_API Tensor atanh_(const Tensor& self);
/// Cosine.
NORCH_API Tensor cos(const Tensor& x);
NORCH_API Tensor cos_(const Tensor& self);
/// Hyperbolic cosine.
NORCH_API Tensor cosh(const Tensor& x);
NORCH_API Tensor cosh_(const Tensor& self);
/// Derivative of log gamma.
NORCH_API Tensor digamma(const Tensor& x);
NORCH_API Tensor digamma_(const Tensor& self);
/// Error function.
NORCH_API Tensor erf(const Tensor& x);
NORCH_API Tensor erf_(const Tensor& self);
/// 1 - erf(x).
NORCH_API Tensor erfc(const Tensor& x);
NORCH_API Tensor erfc_(const Tensor& self);
/// Inverse of erf; NaN outside [-1, 1].
NORCH_API Tensor erfinv(const Tensor& x);
NORCH_API Tensor erfinv_(const Tensor& self);
/// e^x.
NORCH_API Tensor exp(const Tensor& x);
NORCH_API Tensor exp_(const Tensor& self);
/// 2^x.
NORCH_API Tensor exp2(const Tensor& x);
NORCH_API Tensor exp2_(const Tensor& self);
/// e^x - 1, also right near 0.
NORCH_API Tensor expm1(const Tensor& x);
NORCH_API Tensor expm1_(const Tensor& self);
/// log |gamma(x)|.
NORCH_API Tensor lgamma(const Tensor& x);
NORCH_API Tensor lgamma_(const Tensor& self);
/// Natural logarithm.
NORCH_API Tensor log(const Tensor& x);
NORCH_API Tensor log_(const Tensor& self);
/// Logarithm to base 10.
NORCH_API Tensor log10(const Tensor& x);
NORCH_API Tensor log10_(const Tensor& self);
/// log(1 + x), also right near 0.
NORCH_API Tensor log1p(const Tensor& x);
NORCH_API Tensor log1p_(const Tensor& self);
/// Logarithm to base 2.
NORCH_API Tensor log2(const Tensor& x);
NORCH_API Tensor log2_(const Tensor& self);
/// 1 / x.
NORCH_API Tensor reciprocal(const Tensor& x);
NORCH_API Tensor reciprocal_(const Tensor& self);
/// 1 / sqrt(x).
NORCH_API Tensor rsqrt(const Tensor& x);
NORCH_API Tensor rsqrt_(const Tensor& self);
/// 1 / (1 + exp(-x)).
NORCH_API Tensor sigmoid(const Tensor& x);
NORCH_API Tensor sigmoid_(const Tensor& self);
/// Sine.
NORCH_API Tensor sin(const Tensor& x);
NORCH_API Tensor sin_(const Tensor& self);
/// sin(pi x) / (pi x), 1 at 0.
NORCH_API Tensor sinc(const Tensor& x);
NORCH_API Tensor sinc_(const Tensor& self);
/// Hyperbolic sine.
NORCH_API Tensor sinh(const Tensor& x);
NORCH_API Tensor sinh_(const Tensor& self);
/// Square root.
NORCH_API Tensor sqrt(const Tensor& x);
NORCH_API Tensor sqrt_(const Tensor& self);
/// Tangent.
NORCH_API Tensor tan(const Tensor& x);
NORCH_API Tensor tan_(const Tensor& self);
/// Hyperbolic tangent.
NORCH_API Tensor tanh(const Tensor& x);
NORCH_API Tensor tanh_(const Tensor& self);
/// x * pi / 180.
NORCH_API Tensor deg2rad(const Tensor& x);
NORCH_API Tensor deg2rad_(const Tensor& self);
/// x * 180 / pi.
NORCH_API Tensor rad2deg(const Tensor& x);
NORCH_API Tensor rad2deg_(const Tensor& self);
/// log(x / (1 - x)). With `eps`, x is first clamped to [eps, 1 - eps]; without, numbers outside [0, 1] give NaN.
NORCH_API Tensor logit(const Tensor& x, std::optional<double> eps = {});
NORCH_API Tensor logit_(const Tensor& self, std::optional<double> eps = {});
/// The n-th derivative of digamma. \throws Error for n < 0.
NORCH_API Tensor polygamma(int64_t n, const Tensor& x);
NORCH_API Tensor polygamma_(const Tensor& self, int64_t n);

// ---- Same dtype out as in.

/// |x|. \throws NotImplementedError for bool.
NORCH_API Tensor abs(const Tensor& x);
NORCH_API Tensor abs_(const Tensor& self);
/// -x. \throws Error for bool.
NORCH_API Tensor neg(const Tensor& x);
NORCH_API Tensor neg_(const Tensor& self);
/// -1, 0 or 1; 0 for NaN.
NORCH_API Tensor sign(const Tensor& x);
NORCH_API Tensor sign_(const Tensor& self);
/// x * x; bool gives int64.
NORCH_API Tensor square(const Tensor& x);
NORCH_API Tensor square_(const Tensor& self);
/// Up to the next integer. Integers are returned as they are; not for bool.
NORCH_API Tensor ceil(const Tensor& x);
NORCH_API Tensor ceil_(const Tensor& self);
/// Down to the next integer.
NORCH_API Tensor floor(const Tensor& x);
NORCH_API Tensor floor_(const Tensor& self);
/// Towards zero to an integer.
NORCH_API Tensor trunc(const Tensor& x);
NORCH_API Tensor trunc_(const Tensor& self);
/// x - trunc(x). \throws NotImplementedError for integers.
NORCH_API Tensor frac(const Tensor& x);
NORCH_API Tensor frac_(const Tensor& self);
/// Every bit inverted; `not` for bool. \throws NotImplementedError for floats.
NORCH_API Tensor bitwise_not(const Tensor& x);
NORCH_API Tensor bitwise_not_(const Tensor& self);
/// To the nearest multiple of 10^-decimals, halves to even. Integers with decimals == 0 are returned as they are.
NORCH_API Tensor round(const Tensor& x, int64_t decimals = 0);
NORCH_API Tensor round_(const Tensor& self, int64_t decimals = 0);
/// x itself. \throws Error for bool.
NORCH_API Tensor positive(const Tensor& x);
/// NaN becomes `nan`; the infinities become `posinf` and `neginf`, by default the largest and smallest finite numbers.
NORCH_API Tensor nan_to_num(const Tensor& x, std::optional<double> nan = {}, std::optional<double> posinf = {},
                            std::optional<double> neginf = {});
NORCH_API Tensor nan_to_num_(const Tensor& self, std::optional<double> nan = {}, std::optional<double> posinf = {},
                             std::optional<double> neginf = {});

// ---- Tests, of any dtype, to bool.

NORCH_API Tensor isnan(const Tensor& x);
NORCH_API Tensor isinf(const Tensor& x);
NORCH_API Tensor isfinite(const Tensor& x);
NORCH_API Tensor isposinf(const Tensor& x);
NORCH_API Tensor isneginf(const Tensor& x);
/// Whether the sign bit is set: also of -0.0 and negative NaNs.
NORCH_API Tensor signbit(const Tensor& x);
/// x == 0.
NORCH_API Tensor logical_not(const Tensor& x);
/// As logical_not, stored as 0 or 1 of self's dtype.
NORCH_API Tensor logical_not_(const Tensor& self);

inline Tensor operator-(const Tensor& x) { return neg(x); }

// ---- Derivatives from results, for backward formulas.

/// grad * (1 - y) * y for y = sigmoid(x).
NORCH_API Tensor sigmoid_backward(const Tensor& grad, const Tensor& y);
/// grad * (1 - y * y) for y = tanh(x).
NORCH_API Tensor tanh_backward(const Tensor& grad, const Tensor& y);

}  // namespace norch
