// exp as straight-line arithmetic, so that any loop around it vectorises and every instruction set gives the same bits.
#pragma once

#include <cstdint>
#include <cstring>

namespace norch::kernels::cpu::NORCH_ISA {

template <class To, class From>
inline To bits_as(From v) {
  To out;
  std::memcpy(&out, &v, sizeof out);
  return out;
}

/// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
constexpr float kRound = 12582912.0f;

/// x = k ln 2 + r; exp(r), given k + kRound.
inline float exp_of_rest(float x, float shifted) {
  const float k = shifted - kRound;
  const float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r) + r + 1.0f;
}

/// Within 2 ulp; overflows to inf, underflows gradually to 0, keeps NaN.
inline float fast_exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * 1.44269504088896341f + kRound;
  const float p = exp_of_rest(x, shifted);
  // 2^k in two factors: k reaches beyond the exponents of normal numbers.
  const int32_t n = bits_as<int32_t>(shifted) - bits_as<int32_t>(kRound);
  const int32_t half = n >> 1;
  return p * bits_as<float>((half + 127) << 23) * bits_as<float>((n - half + 127) << 23);
}

/// As fast_exp, for x <= 0: the shorter arithmetic of softmax. Results below the normal numbers are 0.
inline float exp_of_negative(float x) {
  const float shifted = x * 1.44269504088896341f + kRound;
  // The low bits of `shifted` are k; those of kRound are 0.
  const float p = exp_of_rest(x, shifted) * bits_as<float>((bits_as<uint32_t>(shifted) << 23) + 0x3f800000u);
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

}  // namespace norch::kernels::cpu::NORCH_ISA
