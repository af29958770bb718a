// Incomplete gamma functions and zeta, of two numbers.
#pragma once

#include "kernels/special_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

/// log(1 + x) - x without cancellation: with r = x / (2 + x), log(1 + x) = 2 atanh(r) and 2 r - x = -x r.
NORCH_HD_LONG double log1p_minus(double x) {
  if (std::fabs(x) > 0.5) return std::log1p(x) - x;
  const double r = x / (2 + x), y = r * r;
  double series = 0;
  for (int k = 33; k >= 3; k -= 2) series = series * y + 2.0 / k;
  return series * y * r - x * r;
}

/// x^a exp(-x) / gamma(a + 1); for large a through Stirling's series, where nothing large cancels (DLMF 5.11, 8.11).
NORCH_HD_LONG double gamma_term(double a, double x) {
  if (a < 20) {
    if (x < 200) return std::pow(x, a) * std::exp(-x) / std::tgamma(a + 1);
    return std::exp(a * std::log(x) - x - log_gamma(a + 1));
  }
  const double z = 1 / (a * a);
  const double stirling = (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z * (1.0 / 1680 - z / 1188)))) / a;
  return std::exp(a * log1p_minus((x - a) / a) - stirling) / std::sqrt(2 * kPi * a);
}

/// P(a, x) by its power series (DLMF 8.11.4), for x up to about a.
NORCH_HD_LONG double gamma_series(double a, double x) {
  double term = 1, sum = 1;
  for (int n = 1; n < 200000 && term > 1e-17 * sum; ++n) {
    term *= x / (a + n);
    sum += term;
  }
  return gamma_term(a, x) * sum;
}
/// Q(a, x) by its continued fraction (DLMF 8.9.2, Lentz's method), for x above a.
NORCH_HD_LONG double gamma_fraction(double a, double x) {
  const double tiny = 1e-300;
  double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
  for (int n = 1; n < 200000; ++n) {
    const double numerator = -n * (n - a);
    b += 2;
    d = numerator * d + b;
    d = 1 / (std::fabs(d) < tiny ? tiny : d);
    c = b + numerator / c;
    if (std::fabs(c) < tiny) c = tiny;
    h *= c * d;
    if (std::fabs(c * d - 1) < 1e-16) break;
  }
  return gamma_term(a, x) * a * h;
}
/// Q(a, x) for small a and x (DLMF 8.7.1): 1 - x^a / gamma(a + 1) taken together.
NORCH_HD_LONG double gamma_complement_series(double a, double x) {
  double factor = 1, sum = 0;
  for (int n = 1; n < 200; ++n) {
    factor *= -x / n;
    const double term = factor / (a + n);
    sum += term;
    if (std::fabs(term) <= 1e-17 * std::fabs(sum)) break;
  }
  const double log_x = std::log(x);
  return -std::expm1(a * log_x - log_gamma(1 + a)) - std::exp(a * log_x - log_gamma(a)) * sum;
}
/// P for huge a (DLMF 8.12.3, the first term of the expansion).
NORCH_HD_LONG double gamma_uniform(double a, double x, bool upper) {
  const double mu = (x - a) / a, half = log1p_minus(mu);  // -eta^2 / 2
  const double eta = std::copysign(std::sqrt(-2 * half), mu);
  const double c = std::fabs(eta) < 1e-3 ? -1.0 / 3 + eta / 12 : 1 / mu - 1 / eta;
  const double rest = std::exp(a * half) / std::sqrt(2 * kPi * a) * c;
  return upper ? 0.5 * std::erfc(eta * std::sqrt(a / 2)) + rest : 0.5 * std::erfc(-eta * std::sqrt(a / 2)) - rest;
}

/// The regularised incomplete gamma function, lower (P) or upper (Q = 1 - P).
NORCH_HD_LONG double incomplete_gamma(double a, double x, bool upper) {
  if (a < 0 || x < 0) return NAN;
  if (a == 0) return x == 0 ? NAN : upper ? 0 : 1;
  if (x == 0) return upper ? 1 : 0;
  if (a == HUGE_VAL) return x == HUGE_VAL ? NAN : upper ? 1 : 0;
  if (x == HUGE_VAL) return upper ? 0 : 1;
  if (a != a || x != x) return NAN;  // PyTorch's order: 0 and inf decide before NaN does
  if (a > 1e8) return gamma_uniform(a, x, upper);
  if (!upper) return x > 1 && x > a ? 1 - gamma_fraction(a, x) : gamma_series(a, x);
  if (x > 1.1) return x < a ? 1 - gamma_series(a, x) : gamma_fraction(a, x);
  const bool series = x <= 0.5 ? -0.4 / std::log(x) < a : x * 1.1 < a;
  return series ? 1 - gamma_series(a, x) : gamma_complement_series(a, x);
}
NORCH_HD_LONG double igamma(double a, double x) { return incomplete_gamma(a, x, false); }
NORCH_HD_LONG double igammac(double a, double x) { return incomplete_gamma(a, x, true); }

/// The Hurwitz zeta function: inf at its pole, NaN left of it.
NORCH_HD_LONG double zeta(double s, double q) {
  if (s == 1) return HUGE_VAL;
  if (s < 1 || q == HUGE_VAL) return NAN;  // at q = inf as in PyTorch
  return hurwitz_zeta(s, q);
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
