// Bessel and Airy functions of one number. Each is an elementary factor times a smooth one, which tables.py expanded.
#pragma once

#include "kernels/special/tables.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

// ---- modified (DLMF 10.25 - 10.40)

/// exp(-|x|) I0(x).
NORCH_HD_LONG double bessel_i0e(double x) {
  const double a = std::fabs(x);
  return a <= 8 ? i0e_small(a / 4 - 1) : i0e_large(16 / a - 1) / std::sqrt(a);
}
/// exp(-|x|) I1(x).
NORCH_HD_LONG double bessel_i1e(double x) {
  const double a = std::fabs(x);
  return a <= 8 ? x * i1e_small(a / 4 - 1) : std::copysign(i1e_large(16 / a - 1) / std::sqrt(a), x);
}
/// value * exp(x), where exp(x) alone may overflow.
NORCH_HD double times_exp(double value, double x) {
  return x < 700 ? value * std::exp(x) : value * std::exp(x / 2) * std::exp(x / 2);
}
NORCH_HD_LONG double bessel_i0(double x) { return times_exp(bessel_i0e(x), std::fabs(x)); }
NORCH_HD_LONG double bessel_i1(double x) { return times_exp(bessel_i1e(x), std::fabs(x)); }

/// exp(x) K0(x); NaN for x < 0.
NORCH_HD_LONG double bessel_k0e(double x) {
  if (x <= 0) return x == 0 ? HUGE_VAL : NAN;
  if (x <= 2) return (k0_small(x * x / 2 - 1) - std::log(x / 2) * bessel_i0(x)) * std::exp(x);
  return k0e_large(4 / x - 1) / std::sqrt(x);
}
NORCH_HD_LONG double bessel_k0(double x) {
  if (x <= 0) return x == 0 ? HUGE_VAL : NAN;
  if (x <= 2) return k0_small(x * x / 2 - 1) - std::log(x / 2) * bessel_i0(x);
  return std::exp(-x) * (k0e_large(4 / x - 1) / std::sqrt(x));
}
/// exp(x) K1(x); NaN for x < 0.
NORCH_HD_LONG double bessel_k1e(double x) {
  if (x <= 0) return x == 0 ? HUGE_VAL : NAN;
  if (x <= 2) return (k1_small(x * x / 2 - 1) / x + std::log(x / 2) * bessel_i1(x)) * std::exp(x);
  return k1e_large(4 / x - 1) / std::sqrt(x);
}
NORCH_HD_LONG double bessel_k1(double x) {
  if (x <= 0) return x == 0 ? HUGE_VAL : NAN;
  if (x <= 2) return k1_small(x * x / 2 - 1) / x + std::log(x / 2) * bessel_i1(x);
  return std::exp(-x) * (k1e_large(4 / x - 1) / std::sqrt(x));
}

// ---- of the first and second kind (DLMF 10.2, 10.8, 10.17)

/// Large x: sqrt(2 / (pi x)) (p cos(chi) - q sin(chi)) is J, and (p sin(chi) + q cos(chi)) Y, with chi = x - pi / 4 for
/// order 0 and x - 3 pi / 4 for order 1.
struct Oscillation {
  double scale, cosine, sine;
};
NORCH_HD Oscillation oscillation(int order, double x) {
  // chi itself would lose the fraction of a large x.
  const double s = std::sin(x), c = std::cos(x), root = 0.70710678118654752440;
  const double scale = std::sqrt(2 / (kPi * x));
  if (order == 0) return {scale, (c + s) * root, (s - c) * root};
  return {scale, (s - c) * root, -(s + c) * root};
}

NORCH_HD_LONG double bessel_j0(double x) {
  x = std::fabs(x);
  if (x <= 8) return j0_small(x * x / 32 - 1) * beside_j0_zero1(x) * beside_j0_zero2(x);
  const Oscillation o = oscillation(0, x);
  const double t = 128 / (x * x) - 1;
  return o.scale * (p0(t) * o.cosine - q0(t) / x * o.sine);
}
NORCH_HD_LONG double bessel_j1(double x) {
  const double a = std::fabs(x);
  if (a <= 8) return x * j1_small(a * a / 32 - 1) * beside_j1_zero1(a) * beside_j1_zero2(a);
  const Oscillation o = oscillation(1, a);
  const double t = 128 / (a * a) - 1;
  return std::copysign(o.scale, x) * (p1(t) * o.cosine - q1(t) / a * o.sine);
}
NORCH_HD_LONG double bessel_y0(double x) {
  if (x <= 0) return x == 0 ? -HUGE_VAL : NAN;
  if (x <= 8) return y0_small(x * x / 32 - 1) + 2 / kPi * std::log(x) * bessel_j0(x);
  const Oscillation o = oscillation(0, x);
  const double t = 128 / (x * x) - 1;
  return o.scale * (p0(t) * o.sine + q0(t) / x * o.cosine);
}
NORCH_HD_LONG double bessel_y1(double x) {
  if (x <= 0) return x == 0 ? -HUGE_VAL : NAN;
  if (x <= 8) return x * y1_small(x * x / 32 - 1) + 2 / kPi * (std::log(x) * bessel_j1(x) - 1 / x);
  const Oscillation o = oscillation(1, x);
  const double t = 128 / (x * x) - 1;
  return o.scale * (p1(t) * o.sine + q1(t) / x * o.cosine);
}
/// sin(x) / x, 1 at 0.
NORCH_HD_LONG double spherical_bessel_j0(double x) {
  if (std::fabs(x) == HUGE_VAL) return 0;
  if (std::fabs(x) < 0.01) {
    const double y = x * x;
    return 1 - y / 6 * (1 - y / 20 * (1 - y / 42));
  }
  return std::sin(x) / x;
}

// ---- Airy (DLMF 9.7)

NORCH_HD_LONG double airy_ai(double x) {
  if (std::fabs(x) <= 2) return airy_middle(x / 2);
  if (std::fabs(x) == HUGE_VAL) return NAN;
  const double a = std::fabs(x), start = 1.8856180831641267317;  // 2 / 3 * 2^(3/2)
  const double zeta = 2.0 / 3 * a * std::sqrt(a), quarter = std::sqrt(std::sqrt(a));
  if (x > 0) return airy_positive(2 * start / zeta - 1) * std::exp(-zeta) / quarter;
  const double t = 2 * (start / zeta) * (start / zeta) - 1, s = std::sin(zeta), c = std::cos(zeta);
  const double root = 0.39894228040143267794;  // 1 / sqrt(2 pi)
  return root / quarter * (airy_f(t) * (s + c) - airy_g(t) / zeta * (c - s));
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
