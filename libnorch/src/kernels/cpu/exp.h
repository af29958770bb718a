// exp and what is made from it as straight-line arithmetic, so that any loop around it vectorises. exp itself gives the
// same bits with every instruction set; the others fuse multiplications and additions where there is an instruction.
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

/// a * b + c, in one rounding if `kFused` and there is an instruction for it.
template <bool kFused>
inline float mul_add(float a, float b, float c) {
#if defined(__FMA__)
  if constexpr (kFused) return __builtin_fmaf(a, b, c);
#endif
  return a * b + c;
}

/// x = k ln 2 + r; exp(r) - 1, given k + kRound.
template <bool kFused>
inline float expm1_of_rest(float x, float shifted) {
  const float k = shifted - kRound;
  const float r = mul_add<kFused>(k, 2.12194440e-4f, mul_add<kFused>(k, -0.693359375f, x));
  float p = 1.9875691500e-4f;
  p = mul_add<kFused>(p, r, 1.3981999507e-3f);
  p = mul_add<kFused>(p, r, 8.3334519073e-3f);
  p = mul_add<kFused>(p, r, 4.1665795894e-2f);
  p = mul_add<kFused>(p, r, 1.6666665459e-1f);
  p = mul_add<kFused>(p, r, 5.0000001201e-1f);
  return mul_add<kFused>(p, r * r, r);
}

/// Within 2 ulp; overflows to inf, underflows gradually to 0, keeps NaN.
inline float fast_exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * 1.44269504088896341f + kRound;
  const float p = expm1_of_rest<false>(x, shifted) + 1.0f;
  // 2^k in two factors: k reaches beyond the exponents of normal numbers.
  const int32_t n = bits_as<int32_t>(shifted) - bits_as<int32_t>(kRound);
  const int32_t half = n >> 1;
  return p * bits_as<float>((half + 127) << 23) * bits_as<float>((n - half + 127) << 23);
}

/// As fast_exp, for x <= 0: the shorter arithmetic of softmax. Results below the normal numbers are 0.
template <bool kFused = false>
inline float exp_of_negative(float x) {
  const float shifted = mul_add<kFused>(x, 1.44269504088896341f, kRound);
  // The low bits of `shifted` are k; those of kRound are 0.
  const float p = (expm1_of_rest<kFused>(x, shifted) + 1.0f) * bits_as<float>((bits_as<uint32_t>(shifted) << 23) + 0x3f800000u);
  return x < -87.33f ? 0.0f : p;
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
  return p * bits_as<double>((half + 1023) << 52) * bits_as<double>((n - half + 1023) << 52);
}

inline double exp_of_negative(double x) { return fast_exp(x); }

/// exp(x) - 1 within 2 ulp: 2^k (exp(r) - 1) + (2^k - 1), by halves, since 2^128 is no float. Keeps NaN.
inline float fast_expm1(float x) {
  x = x < -18.0f ? -18.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = mul_add<true>(x, 1.44269504088896341f, kRound);
  const float p = expm1_of_rest<true>(x, shifted);
  const float half = bits_as<float>((bits_as<uint32_t>(shifted) << 23) + 0x3f000000u);  // 2^(k - 1)
  return mul_add<true>(p, half, half - 0.5f) * 2.0f;
}

/// P(N(0, 1) <= x): exp(-x^2 / 2 + p(|x|)) below zero and one minus that above. p is a minimax fit on [0, 6] to
/// log(erfcx(x / sqrt(2)) / 2), weighted like the result's tail, whose absolute error is 1e-7 at most. Keeps NaN.
inline float fast_normal_cdf(float x) {
  const float size = x < 0.0f ? -x : x, t = size > 6.0f ? 6.0f : size;
  float p = -1.13647911e-6f;
  p = mul_add<true>(p, t, 1.75272435e-5f);
  p = mul_add<true>(p, t, -8.37095431e-5f);
  p = mul_add<true>(p, t, -2.00954484e-4f);
  p = mul_add<true>(p, t, 5.02866739e-3f);
  p = mul_add<true>(p, t, -3.64745222e-2f);
  p = mul_add<true>(p, t, 1.81728125e-1f);
  p = mul_add<true>(p, t, -7.97888458e-1f);
  p = mul_add<true>(p, t, -6.93147123e-1f);
  const float tail = exp_of_negative<true>(mul_add<true>(x * -0.5f, x, p));
  return x < 0.0f ? tail : 1.0f - tail;
}

}  // namespace norch::kernels::cpu::NORCH_ISA
