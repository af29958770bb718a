// Square root, tangents, inverse circular and inverse hyperbolic functions of finite complex numbers, after W. Kahan,
// "Branch cuts for complex elementary functions" (1987). No digits are lost where sums nearly cancel, as in
// log(z + sqrt(z^2 + 1)), by which libcu++ computes asinh. Zeros keep their signs, so that each side of a branch cut has its
// own values.
#pragma once

#include <cmath>

#include "kernels/complex.h"

namespace norch::kernels {
inline namespace NORCH_ISA {
namespace finite {

template <class T>
NORCH_HD Complex<T> sqrt(Complex<T> z) {
  if (z.re == T(0) && z.im == T(0)) return Complex<T>(T(0), z.im);
  const T t = std::sqrt(std::fabs(z.re) / 2 + std::hypot(z.re / 2, z.im / 2)), other = z.im / (2 * t);
  return z.re >= T(0) ? Complex<T>(t, other) : Complex<T>(std::fabs(other), std::copysign(t, z.im));
}

/// re(conj(a) b) and im(conj(a) b).
template <class T>
NORCH_HD T conj_real(Complex<T> a, Complex<T> b) {
  return a.re * b.re + a.im * b.im;
}
template <class T>
NORCH_HD T conj_imag(Complex<T> a, Complex<T> b) {
  return a.re * b.im - a.im * b.re;
}

template <class T>
NORCH_HD Complex<T> asin(Complex<T> z) {
  const Complex<T> below = sqrt(Complex<T>(1 - z.re, -z.im)), above = sqrt(Complex<T>(1 + z.re, z.im));
  return {std::copysign(std::atan2(z.re, below.re * above.re - below.im * above.im), z.re),
          std::copysign(std::asinh(conj_imag(below, above)), z.im)};
}

template <class T>
NORCH_HD Complex<T> acos(Complex<T> z) {
  const Complex<T> below = sqrt(Complex<T>(1 - z.re, -z.im)), above = sqrt(Complex<T>(1 + z.re, z.im));
  return {2 * std::atan2(below.re, above.re), std::copysign(std::asinh(conj_imag(above, below)), -z.im)};
}

template <class T>
NORCH_HD Complex<T> acosh(Complex<T> z) {
  const Complex<T> below = sqrt(Complex<T>(z.re - 1, z.im)), above = sqrt(Complex<T>(z.re + 1, z.im));
  return {std::fabs(std::asinh(conj_real(below, above))), std::copysign(2 * std::atan2(below.im, above.re), z.im)};
}

template <class T>
NORCH_HD Complex<T> asinh(Complex<T> z) {
  const Complex<T> w = asin(Complex<T>(-z.im, z.re));
  return {w.im, -w.re};
}

/// log((1 + z) / (1 - z)) / 2: |1 + z|^2 / |1 - z|^2 = 1 + 4 x / |1 - z|^2.
template <class T>
NORCH_HD Complex<T> atanh(Complex<T> z) {
  const T x = std::fabs(z.re), y = z.im, size = std::hypot(x, y);
  constexpr T kFar = sizeof(T) == 4 ? T(1e9) : T(1e17);    // 1 / z is all that is left
  constexpr T kNear = sizeof(T) == 4 ? T(1e-5) : T(1e-9);  // to the pole: adding 1 changes nothing
  const T from_pole = std::hypot(1 - x, y);
  const T re = size > kFar          ? x / size / size
               : from_pole < kNear ? (std::log(4 * x) / 2 - std::log(from_pole)) / 2
                                   : std::log1p(4 * x / from_pole / from_pole) / 4;
  const T im = size > kFar ? T(1.57079632679489661923) : std::atan2(2 * y, (1 - x) * (1 + x) - y * y) / 2;
  return {std::copysign(re, z.re), std::copysign(im, y)};
}

template <class T>
NORCH_HD Complex<T> tanh(Complex<T> z) {
  constexpr T kFar = sizeof(T) == 4 ? T(20) : T(175);  // 1 is all that is left of the real part
  const T x = z.re, t = std::tan(z.im);
  if (std::fabs(x) > kFar) return {std::copysign(T(1), x), 4 * std::sin(z.im) * std::cos(z.im) * std::exp(-2 * std::fabs(x))};
  const T beta = 1 + t * t, s = std::sinh(x), below = 1 + beta * s * s;
  return {beta * std::sqrt(1 + s * s) * s / below, t / below};
}

template <class T>
NORCH_HD Complex<T> tan(Complex<T> z) {
  const Complex<T> w = tanh(Complex<T>(-z.im, z.re));
  return {w.im, -w.re};
}

template <class T>
NORCH_HD Complex<T> atan(Complex<T> z) {
  const Complex<T> w = atanh(Complex<T>(-z.im, z.re));
  return {w.im, -w.re};
}

}  // namespace finite
}  // namespace NORCH_ISA
}  // namespace norch::kernels
