// The functions of the gamma family for floats: straight-line double arithmetic, which vectorises, for ordinary positive
// arguments; one by one for the others.
#pragma once

#include "kernels/cpu/vector_math.h"

#include "kernels/cpu/precise.h"
#include "kernels/special_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

/// log gamma(x) for x > 0: log gamma(x + 8) - log(x ... (x + 7)), the first by Stirling's series. (What is beyond the
/// range of float in the end stays within that of double.)
inline double positive_log_gamma(double x) {
  x = x > 1e38 ? 1e38 : x;
  double product = x;
  for (int k = 1; k < 8; ++k) product *= x + k;
  const double z = x + 8, r = 1 / z, w = r * r;
  double series = -3617.0 / 122400;
  series = series * w + 1.0 / 156;
  series = series * w - 691.0 / 360360;
  series = series * w + 1.0 / 1188;
  series = series * w - 1.0 / 1680;
  series = series * w + 1.0 / 1260;
  series = series * w - 1.0 / 360;
  series = series * w + 1.0 / 12;
  const double half_log_2_pi = 0.91893853320467274178;
  return (z - 0.5) * std::log(z) - z + half_log_2_pi + series * r - std::log(product);
}

/// digamma(x) for x > 0: the asymptotic series from 10 on, below by digamma(x) = digamma(x + 10) - sum of 1 / (x + k),
/// which is the product's derivative over the product.
inline double positive_digamma(double x) {
  double product = x, derivative = 1;
  for (int k = 1; k < 10; ++k) {
    derivative = derivative * (x + k) + product;
    product *= x + k;
  }
  const bool large = x >= 10;
  const double z = large ? x : x + 10, r = 1 / z, w = r * r;
  double series = 1.0 / 12;
  series = series * w - 691.0 / 32760;
  series = series * w + 1.0 / 132;
  series = series * w - 1.0 / 240;
  series = series * w + 1.0 / 252;
  series = series * w - 1.0 / 120;
  series = series * w + 1.0 / 12;
  return std::log(z) - 0.5 * r - series * w - (large ? 0.0 : derivative / product);
}

/// What `quick` is not made for: anything but positive finite numbers, and the zeros of log gamma, which are exact.
inline bool is_odd(float x) { return !(x > 0) | !(x < HUGE_VALF) | (x == 1) | (x == 2); }

}  // namespace norch::kernels::cpu::NORCH_ISA
