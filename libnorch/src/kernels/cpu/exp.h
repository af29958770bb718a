// exp, log and what is made from them as straight-line arithmetic, so that any loop around it vectorises.
// Multiplications and additions are fused where there is an instruction for it.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/kernel.h"

namespace norch::kernels::cpu::NORCH_ISA {

template <class To, class From>
inline To bits_as(From v) {
  To out;
  std::memcpy(&out, &v, sizeof out);
  return out;
}

/// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
constexpr float kRound = 12582912.0f;

/// a * b + c, in one rounding if there is an instruction for it.
inline float mul_add(float a, float b, float c) {
#if defined(__FMA__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/// x = k ln 2 + r; exp(r) - 1, given k + kRound. The polynomial is a minimax fit to (exp(r) - 1 - r) / r^2.
inline float expm1_of_rest(float x, float shifted) {
  const float k = shifted - kRound;
  const float r = mul_add(k, 2.12194440e-4f, mul_add(k, -0.693359375f, x));
  float p = 1.38143215e-3f;
  p = mul_add(p, r, 8.36885106e-3f);
  p = mul_add(p, r, 4.16684011e-2f);
  p = mul_add(p, r, 1.66665195e-1f);
  p = mul_add(p, r, 4.99999934e-1f);
  return mul_add(p, r * r, r);
}

/// Within 1 ulp; overflows to inf, underflows gradually to 0, keeps NaN.
inline float fast_exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = mul_add(x, 1.44269504088896341f, kRound);
  const float p = expm1_of_rest(x, shifted) + 1.0f;
  // 2^k in two factors: k reaches beyond the exponents of normal numbers.
  const int32_t n = bits_as<int32_t>(shifted) - bits_as<int32_t>(kRound);
  const int32_t half = n >> 1;  // of a NaN any number: its bits are shifted as unsigned ones
  const auto power = [](int32_t k) { return bits_as<float>(static_cast<uint32_t>(k + 127) << 23); };
  return p * power(half) * power(n - half);
}

/// As fast_exp, for x <= 0: the shorter arithmetic of softmax. Results below the normal numbers are 0.
inline float exp_of_negative(float x) {
  const float shifted = mul_add(x, 1.44269504088896341f, kRound);
  // The low bits of `shifted` are k; those of kRound are 0.
  const float p = (expm1_of_rest(x, shifted) + 1.0f) * bits_as<float>((bits_as<uint32_t>(shifted) << 23) + 0x3f800000u);
  return x < -87.33f ? 0.0f : p;
}

/// Within 1 ulp (1.1 without fused arithmetic): x = 2^k (1 + f) with |f| <= 1/3, and log(1 + f) = f - f^2 / 2 + f^3 p(f)
/// with p a minimax fit.
inline float fast_log(float x) {
  const bool tiny = x < 1.17549435e-38f;  // below the normal numbers
  const float y = tiny ? x * 8388608.0f : x;
  const uint32_t exponent = (bits_as<uint32_t>(y) - 0x3f2aaaabu) & 0xff800000u;  // k 2^23, from 2/3
  const float f = bits_as<float>(bits_as<uint32_t>(y) - exponent) - 1.0f;
  const float k = mul_add(static_cast<float>(static_cast<int32_t>(exponent)), 1.0f / 8388608.0f, tiny ? -23.0f : 0.0f);
  float p = -1.28916787e-1f;
  p = mul_add(p, f, 1.39844363e-1f);
  p = mul_add(p, f, -1.21842625e-1f);
  p = mul_add(p, f, 1.40058691e-1f);
  p = mul_add(p, f, -1.66804873e-1f);
  p = mul_add(p, f, 2.00104059e-1f);
  p = mul_add(p, f, -2.49997977e-1f);
  p = mul_add(p, f, 3.33332160e-1f);
  p = mul_add(p, f, -0.5f);
  const float log = mul_add(k, 0.693147181f, mul_add(p, f * f, f));
  const float odd = x < 0.0f ? __builtin_nanf("") : x == 0.0f ? -__builtin_inff() : x;
  return (x > 0.0f) & (x < __builtin_inff()) ? log : odd;
}

inline double fast_exp(double x) {
  constexpr double kRound = 6755399441055744.0;
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double shifted = x * 1.4426950408889634074 + kRound;
  const double k = shifted - kRound;
  const double r = (x - k * 6.93145751953125e-1) - k * 1.42860682030941723212e-6;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * (r * r) + r + 1.0;
  const int64_t n = bits_as<int64_t>(shifted) - bits_as<int64_t>(kRound);
  const int64_t half = n >> 1;
  const auto power = [](int64_t k) { return bits_as<double>(static_cast<uint64_t>(k + 1023) << 52); };
  return p * power(half) * power(n - half);
}

inline double exp_of_negative(double x) { return fast_exp(x); }

/// exp(x) - 1 within 2 ulp: 2^k (exp(r) - 1) + (2^k - 1), by halves, since 2^128 is no float. Keeps NaN.
inline float fast_expm1(float x) {
  x = x < -18.0f ? -18.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = mul_add(x, 1.44269504088896341f, kRound);
  const float p = expm1_of_rest(x, shifted);
  const float half = bits_as<float>((bits_as<uint32_t>(shifted) << 23) + 0x3f000000u);  // 2^(k - 1)
  return mul_add(p, half, half - 0.5f) * 2.0f;
}

/// P(N(0, 1) <= x): exp(-x^2 / 2 + p(|x|)) below zero and one minus that above. p is a minimax fit on [0, 6] to
/// log(erfcx(x / sqrt(2)) / 2), weighted like the result's tail, whose absolute error is 1e-7 at most. Keeps NaN.
inline float fast_normal_cdf(float x) {
  const float size = x < 0.0f ? -x : x, t = size > 6.0f ? 6.0f : size;
  float p = -1.13647911e-6f;
  p = mul_add(p, t, 1.75272435e-5f);
  p = mul_add(p, t, -8.37095431e-5f);
  p = mul_add(p, t, -2.00954484e-4f);
  p = mul_add(p, t, 5.02866739e-3f);
  p = mul_add(p, t, -3.64745222e-2f);
  p = mul_add(p, t, 1.81728125e-1f);
  p = mul_add(p, t, -7.97888458e-1f);
  p = mul_add(p, t, -6.93147123e-1f);
  const float tail = exp_of_negative(mul_add(x * -0.5f, x, p));
  return x < 0.0f ? tail : 1.0f - tail;
}

}  // namespace norch::kernels::cpu::NORCH_ISA
