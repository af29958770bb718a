// The normal distribution's functions of one number.
#pragma once

#include "kernels/special/tables.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

/// exp(x^2) erfc(x) (Shepherd and Laframboise 1981).
NORCH_HD_LONG double erfcx(double x) {
  if (x < 0) return x < -26.7 ? HUGE_VAL : 2 * std::exp(x * x) - erfcx(-x);
  if (x > 1e8) return 0.56418958354775628695 / x;  // 1 / sqrt(pi)
  return erfcx_scaled((x - 3.75) / (x + 3.75)) / (1 + 2 * x);
}
/// The probability that a normal number is below x.
NORCH_HD_LONG double ndtr(double x) { return 0.5 * std::erfc(-0.70710678118654752440 * x); }
/// Its logarithm, also where it underflows.
NORCH_HD_LONG double log_ndtr(double x) {
  const double t = x * 0.70710678118654752440;
  return x < -1 ? std::log(erfcx(-t) / 2) - t * t : std::log1p(-std::erfc(t) / 2);
}
/// The inverse of ndtr. Tails: Abramowitz and Stegun 26.2.23, refined by Newton steps on the logarithm.
NORCH_HD_LONG double ndtri(double p) {
  if (!(p > 0 && p < 1)) return p == 0 ? -HUGE_VAL : p == 1 ? HUGE_VAL : NAN;
  if (p > 0.2 && p < 0.8) return 1.41421356237309504880 * refined_erfinv(2 * p - 1);
  const double q = p < 0.5 ? p : 1 - p, log_q = std::log(q), t = std::sqrt(-2 * log_q);
  double x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int i = 0; i < 3; ++i)
    x += (log_ndtr(-x) - log_q) * erfcx(x * 0.70710678118654752440) * 1.25331413731550025121;  // sqrt(pi / 2)
  return p < 0.5 ? -x : x;
}
/// -x log(x); -inf below 0.
NORCH_HD_LONG double entr(double x) { return x > 0 ? -x * std::log(x) : x == 0 ? 0 : x < 0 ? -HUGE_VAL : x; }
/// a log(1 + b), 0 for a == 0 unless b is NaN.
NORCH_HD_LONG double xlog1py(double a, double b) { return a == 0 && b == b ? 0 : a * std::log1p(b); }

}  // namespace NORCH_ISA
}  // namespace norch::kernels
