// Special functions that the standard library lacks, for one number, on both devices. Most
// compute in double: float results are then right to the last place or so.
#pragma once

#include "kernels/scalar_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

// Long functions are kept out of line on the GPU, where every kernel would otherwise hold many copies.
#if defined(__CUDACC__)
#define NORCH_HD_LONG inline __host__ __device__ __noinline__
#else
#define NORCH_HD_LONG inline
#endif

inline constexpr double kPi = 3.14159265358979323846;

/// log |gamma(x)|.
template <class T>
NORCH_HD T log_gamma(T x) {
#if defined(__CUDA_ARCH__)
  return ::lgamma(x);
#else
  int sign;  // std::lgamma writes the sign to a global variable, from several threads
  if constexpr (std::is_same_v<T, float>)
    return ::lgammaf_r(x, &sign);
  else
    return ::lgamma_r(x, &sign);
#endif
}

/// The derivative of log gamma. Reflection for negative x, recurrence up to `enough`, then the asymptotic series: from 10
/// on it has the precision of double, from 4 on that of float.
NORCH_HD_LONG double digamma_of(double x, double enough = 10) {
  if (x == 0) return std::copysign(HUGE_VAL, -x);
  double result = 0;
  if (x < 0) {
    if (x == std::trunc(x)) return NAN;  // a pole, reached from both sides (and -inf)
    // pi / tan(pi x), with x reduced first: tan of a large multiple of pi would lose the fraction.
    const double fraction = x - std::trunc(x);
    result = -kPi / std::tan(kPi * fraction);
    x = 1 - x;
  }
  // 1/x + 1/(x + 1) + ... as one fraction: it costs one division.
  double above = 0, below = 1;
  while (x < enough) {
    above = above * x + below;
    below *= x;
    x += 1;
  }
  if (x == HUGE_VAL) return x;
  result -= above / below;
  const double inverse = 1 / x, z = inverse * inverse;
  const double series =
      z * (1.0 / 12 -
           z * (1.0 / 120 -
                z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z * (1.0 / 12)))))));
  return result + std::log(x) - 0.5 * inverse - series;
}
template <class T>
NORCH_HD T digamma(T x) {
  return static_cast<T>(digamma_of(static_cast<double>(x), sizeof(T) == 8 ? 10 : 4));
}

/// The Hurwitz zeta function, sum over k >= 0 of (q + k)^-s, for s > 1: Euler-Maclaurin summation.
NORCH_HD_LONG double hurwitz_zeta(double s, double q) {
  if (q <= 0 && q == std::floor(q)) return HUGE_VAL;
  if (s != s || (q < 0 && s != std::floor(s))) return NAN;
  if (q < -10) {
    // The terms below zero are, but for the sign, a finite piece of the sum from 1 - u, where u is q's fraction.
    const double u = q - std::floor(q), below = hurwitz_zeta(s, 1 - u) - hurwitz_zeta(s, 1 - q);
    return hurwitz_zeta(s, u) + (std::fmod(s, 2.0) == 0 ? below : -below);
  }
  double sum = 0;
  int k = 0;
  for (; k < 10 || (q + k) < 10; ++k) {
    const double term = std::pow(q + k, -s);
    sum += term;
    if (std::fabs(term) < 1e-17 * std::fabs(sum) && q + k > 0) return sum;
  }
  const double a = q + k;
  // Bernoulli numbers B_2j / (2j)!, j = 1...
  const double b[] = {1.0 / 12,          -1.0 / 720,          1.0 / 30240,          -1.0 / 1209600,
                      1.0 / 47900160,    -691.0 / 1307674368000.0, 1.0 / 74724249600.0};
  double power = std::pow(a, -s);
  sum += power * a / (s - 1) + 0.5 * power;
  double factor = s;
  power /= a;
  for (int j = 0; j < 7; ++j) {
    const double term = b[j] * factor * power;
    sum += term;
    factor *= (s + 2 * j + 1) * (s + 2 * j + 2);
    power /= a * a;
  }
  return sum;
}

/// The second derivative of log gamma: reflection below 1/2, recurrence up to 10, then the asymptotic series.
NORCH_HD_LONG double trigamma_of(double x) {
  if (x == HUGE_VAL) return 0;
  if (x == -HUGE_VAL) return NAN;
  double sign = 1, result = 0;
  if (x < 0.5) {
    if (x == std::floor(x)) return HUGE_VAL;
    const double s = std::sin(kPi * (x - std::floor(x)));
    result = -(kPi * kPi) / (s * s);
    sign = -1;
    x = 1 - x;
  }
  while (x < 10) {
    result += 1 / (x * x);
    x += 1;
  }
  const double z = 1 / (x * x);
  const double series =
      z * (1.0 / 6 - z * (1.0 / 30 - z * (1.0 / 42 - z * (1.0 / 30 - z * (5.0 / 66 - z * (691.0 / 2730))))));
  return sign * (result + (1 + 0.5 / x + series) / x);
}

/// The n-th derivative of digamma, n >= 0: (-1)^(n + 1) n! zeta(n + 1, x).
template <class T>
NORCH_HD T polygamma(int n, T x) {
  if (n == 0) return digamma(x);
  if (x != x) return x;
  if (n == 1) {
    if (x < T(0) && x == std::floor(x) && x - x == 0) {  // a pole: PyTorch's (pi / sin(pi x))^2, where pi is rounded
      const T s = std::sin(T(kPi) * x);
      return T(kPi) * T(kPi) / (s * s);
    }
    return static_cast<T>(trigamma_of(static_cast<double>(x)));
  }
  const double magnitude = std::tgamma(n + 1.0) * hurwitz_zeta(n + 1.0, static_cast<double>(x));
  return static_cast<T>(n % 2 ? magnitude : -magnitude);
}

/// The inverse of erf on [-1, 1] to seven digits: Giles's polynomials in -log(1 - x^2), one for the middle and one for
/// the tails.
template <class T>
NORCH_HD T approximate_erfinv(T x) {
  const T w = -std::log((T(1) - x) * (T(1) + x));
  const T m = w - T(2.5);
  T middle = T(2.81022636e-08);
  middle = T(3.43273939e-07) + middle * m;
  middle = T(-3.5233877e-06) + middle * m;
  middle = T(-4.39150654e-06) + middle * m;
  middle = T(0.00021858087) + middle * m;
  middle = T(-0.00125372503) + middle * m;
  middle = T(-0.00417768164) + middle * m;
  middle = T(0.246640727) + middle * m;
  middle = T(1.50140941) + middle * m;
  const T t = std::sqrt(w) - T(3);
  T tail = T(-0.000200214257);
  tail = T(0.000100950558) + tail * t;
  tail = T(0.00134934322) + tail * t;
  tail = T(-0.00367342844) + tail * t;
  tail = T(0.00573950773) + tail * t;
  tail = T(-0.0076224613) + tail * t;
  tail = T(0.00943887047) + tail * t;
  tail = T(1.00167406) + tail * t;
  tail = T(2.83297682) + tail * t;
  const T y = (w < T(5) ? middle : tail) * x;
  const T end = std::copysign(T(HUGE_VAL), x);
  return std::fabs(x) == T(1) ? end : y;  // NaN beyond, from the logarithm
}

/// As above, then Newton steps: on erf in the middle, on the logarithm of erfc, which loses no digits, in the tails.
NORCH_HD_LONG double refined_erfinv(double x) {
  const double a = std::fabs(x);
  double y = approximate_erfinv(a);
  if (!(a < 1)) return std::copysign(y, x);
  const double slope = 1.12837916709551257390;  // 2 / sqrt(pi)
  for (int i = 0; i < 2; ++i) {
    if (a < 0.5) {
      y -= (std::erf(y) - a) / (slope * std::exp(-y * y));
    } else {
      const double tail = std::erfc(y);
      y += std::log(tail / (1 - a)) * tail / (slope * std::exp(-y * y));
    }
  }
  return std::copysign(y, x);
}

template <class T>
NORCH_HD T erfinv(T x) {
  if constexpr (std::is_same_v<T, float>)
    return approximate_erfinv(x);
  else
    return refined_erfinv(x);
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
