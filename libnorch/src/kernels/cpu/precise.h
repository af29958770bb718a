// Functions of floats computed in double and rounded once: all but one result in some thousand are the correctly rounded
// ones, where libmvec's float versions are up to 4 ulp off. They take half of the time of libmvec's double versions, for
// their polynomials only need the digits that a float shows.
#pragma once

#include <cmath>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/exp.h"

namespace norch::kernels::cpu::NORCH_ISA {

inline double mul_add(double a, double b, double c) {
#if defined(__FMA__)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits.
constexpr double kRoundDouble = 6755399441055744.0;

/// exp(x) = scale * (1 + rest) for |x| < 700, with x = k ln 2 + r, scale = 2^k and rest = exp(r) - 1 within 2^-34. The
/// polynomial is a minimax fit to (exp(r) - 1 - r) / r^2.
struct SplitExp {
  double scale, rest;
  explicit SplitExp(double x) : SplitExp(x, mul_add(x, 1.4426950408889634074, kRoundDouble)) {}
  /// Given k + kRoundDouble.
  SplitExp(double x, double shifted) {
    const double r = mul_add(shifted - kRoundDouble, -0.69314718055994530942, x);
    double p = 0.0001979032536179754;
    p = mul_add(p, r, 0.0013944676052070901);
    p = mul_add(p, r, 0.0083334971741683746);
    p = mul_add(p, r, 0.041666294729485957);
    p = mul_add(p, r, 0.16666665868215541);
    p = mul_add(p, r, 0.50000000677410184);
    rest = mul_add(p, r * r, r);
    scale = bits_as<double>((bits_as<uint64_t>(shifted) + 1023) << 52);
  }
  double exp() const { return mul_add(scale, rest, scale); }
  double expm1() const { return mul_add(scale, rest, scale - 1); }
};

/// x within [low, high]; keeps NaN.
inline double limited(double x, double low, double high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/// 1 / (1 + exp(-x)) within 2.5 ulp, in float throughout: the sum of two numbers of one sign is as exact as they are.
/// Both are halved, so that 2^128 does not overflow before its time. Keeps NaN.
inline float fast_sigmoid(float x) {
  x = x < -89.5f ? -89.5f : x;
  x = x > 80.0f ? 80.0f : x;
  const float shifted = mul_add(x, -1.44269504088896341f, kRound);
  const float p = expm1_of_rest(-x, shifted) + 1.0f;
  const float half = bits_as<float>((bits_as<uint32_t>(shifted) << 23) + 0x3f000000u);  // 2^(k - 1)
  return 0.5f / mul_add(p, half, 0.5f);
}

inline float precise_exp(float x) { return static_cast<float>(SplitExp(limited(x, -110, 90)).exp()); }
inline float precise_expm1(float x) {
  return std::copysign(static_cast<float>(SplitExp(limited(x, -110, 90)).expm1()), x);
}
inline float precise_tanh(float x) {
  const double e = SplitExp(limited(2 * std::fabs(static_cast<double>(x)), 0, 40)).expm1();
  return std::copysign(static_cast<float>(e / (e + 2)), x);
}
inline float precise_sinh(float x) {
  const double e = SplitExp(limited(std::fabs(static_cast<double>(x)), 0, 100)).expm1();
  return std::copysign(static_cast<float>(0.5 * (e + e / (e + 1))), x);
}
inline float precise_cosh(float x) {
  const double e = SplitExp(limited(std::fabs(static_cast<double>(x)), 0, 100)).exp();
  return static_cast<float>(0.5 * (e + 1 / e));
}

/// log2(x) for 0 < x < inf, within 2^-45 of its size: x = 2^e m with m from sqrt(1/2) to sqrt(2), and log2(m) is a minimax
/// fit in f = (m - 1) / (m + 1).
inline double precise_log2(double x) {
  const uint64_t bits = bits_as<uint64_t>(x);
  const uint64_t e = (bits - 0x3fe6a09e667f3bcdu + (uint64_t{1024} << 52)) >> 52;  // e + 1024
  const double m = bits_as<double>(bits - ((e - 1024) << 52));
  const double whole = bits_as<double>(e | 0x4330000000000000u) - (4503599627370496.0 + 1024.0);
  const double f = (m - 1) / (m + 1), w = f * f;
  double p = 0.28289927255557612;
  p = mul_add(p, w, 0.31990575578858832);
  p = mul_add(p, w, 0.41220925103504957);
  p = mul_add(p, w, 0.57707794237700483);
  p = mul_add(p, w, 0.96179669411330593);
  p = mul_add(p, w, 2.8853900817778499);
  return mul_add(p, f, whole);
}

/// x^y, but for NaN in x and what is not finite in y.
inline float precise_pow(float x, float y) {
  const double a = std::fabs(static_cast<double>(x));
  const double finite = precise_log2(a);
  const double log = a == 0 ? -1e300 : a > 3.5e38 ? 1e300 : finite;
  const double t = limited(y * log, -160, 140), shifted = t + kRoundDouble;
  // 2^t = 2^k exp((t - k) ln 2): SplitExp takes k ln 2 away again, in one rounding.
  const SplitExp power(0.69314718055994530942 * (t - (shifted - kRoundDouble)), kRoundDouble);
  const double scale = bits_as<double>((bits_as<uint64_t>(shifted) + 1023) << 52);
  const float size = static_cast<float>(mul_add(scale, power.rest, scale));
  const bool whole = std::trunc(y) == y, odd = whole & (std::trunc(y * 0.5f) != y * 0.5f);
  const float value = odd ? std::copysign(size, x) : size;
  return (x < 0) & !whole & (a < 3.5e38) ? __builtin_nanf("") : value;
}
/// Whether precise_pow is not made for x^y.
inline bool is_rare_power(float x, float y) { return (x != x) | !(std::fabs(y) < HUGE_VALF); }

/// x = k pi / 2 + r with |r| <= pi / 4; sin(r) within 2^-37 and cos(r) within 2^-33, by minimax fits in r^2. The first
/// part of pi / 2 has 33 bits, so that its product with k is exact.
struct Quadrant {
  int64_t k;  // in the low bits
  double sin, cos;
  explicit Quadrant(double x) {
    const double shifted = mul_add(x, 0.63661977236758134308, kRoundDouble), whole = shifted - kRoundDouble;
    const double r = mul_add(whole, -6.0771005063039659766e-11, mul_add(whole, -1.5707963267341256142, x));
    const double w = r * r;
    double s = 2.7181141188713848e-06;
    s = mul_add(s, w, -0.00019839311485522231);
    s = mul_add(s, w, 0.0083333293024175255);
    s = mul_add(s, w, -0.1666666664077624);
    sin = mul_add(s, w, 1.0) * r;
    double c = 2.4383482830634181e-05;
    c = mul_add(c, w, -0.0013886680751300884);
    c = mul_add(c, w, 0.041666620328783342);
    c = mul_add(c, w, -0.49999999694225311);
    cos = mul_add(c, w, 1.0);
    k = bits_as<int64_t>(shifted);
  }
};

/// `value`, negated in the upper two of four quadrants.
inline double with_sign(double value, int64_t quadrant) {
  return bits_as<double>(bits_as<uint64_t>(value) ^ (static_cast<uint64_t>(quadrant & 2) << 62));
}
inline double precise_sin(double x) {
  const Quadrant q(x);
  return with_sign(q.k & 1 ? q.cos : q.sin, q.k);
}
inline double precise_cos(double x) {
  const Quadrant q(x);
  return with_sign(q.k & 1 ? q.sin : q.cos, q.k + 1);
}
inline double precise_tan(double x) {
  const Quadrant q(x);
  return (q.k & 1 ? -q.cos : q.sin) / (q.k & 1 ? q.sin : q.cos);
}
/// What these three are not made for: k would need more than 20 bits.
inline bool is_far(float x) { return !(std::fabs(x) < 1e6f); }

/// A block function (blocks.h): `quick` of ordinary floats, `any` of the rare ones that it is not made for.
template <double (*quick)(double), float (*any)(float), bool (*is_rare)(float)>
void mostly_block(char* const* data, int64_t n, uint32_t, const void*) {
  constexpr int64_t kGroup = 4 * kLane;
  for (int64_t at = 0; at < n; at += kGroup) {
    float* out = reinterpret_cast<float*>(data[0]) + at;
    const float* x = reinterpret_cast<const float*>(data[1]) + at;
    const int64_t count = std::min(kGroup, n - at) & -kLane;
    int rare = 0;
#pragma omp simd reduction(| : rare)
    for (int64_t i = 0; i < count; ++i) rare |= is_rare(x[i]) ? 1 : 0;
    if (!rare) {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(quick(x[i]));
      continue;
    }
    float y[kGroup];
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(quick(is_rare(x[i]) ? 1.0f : x[i]));
    for (int64_t i = 0; i < count; ++i) out[i] = is_rare(x[i]) ? any(x[i]) : y[i];
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
