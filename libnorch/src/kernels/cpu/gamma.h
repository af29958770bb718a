// The functions of the gamma family for floats: straight-line double arithmetic, which vectorises, for ordinary positive
// arguments; one by one for the others.
#pragma once

#include "kernels/cpu/vector_math.h"

#include "kernels/cpu/blocks.h"
#include "kernels/special_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

/// log gamma(x) for x > 0: Stirling's series from 8 on, below by log gamma(x) = log gamma(x + 8) - log(x ... (x + 7)).
inline double positive_log_gamma(double x) {
  double product = x;
  for (int k = 1; k < 8; ++k) product *= x + k;
  const bool large = x >= 8;
  const double z = large ? x : x + 8, r = 1 / z, w = r * r;
  double series = -3617.0 / 122400;
  series = series * w + 1.0 / 156;
  series = series * w - 691.0 / 360360;
  series = series * w + 1.0 / 1188;
  series = series * w - 1.0 / 1680;
  series = series * w + 1.0 / 1260;
  series = series * w - 1.0 / 360;
  series = series * w + 1.0 / 12;
  const double shift = std::log(large ? 1.0 : product);
  const double y = (z - 0.5) * std::log(z) - z + 0.91893853320467274178 + series * r - shift;  // log(2 pi) / 2
  return (x == 1) | (x == 2) ? 0 : y;
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

/// A block function (blocks.h): `quick` of positive finite floats, `any` of the others.
template <double (*quick)(double), float (*any)(float)>
void positive_block(char* const* data, int64_t n, uint32_t, const void*) {
  float* out = reinterpret_cast<float*>(data[0]);
  const float* in = reinterpret_cast<const float*>(data[1]);
  for (int64_t at = 0; at < n; at += kLane) {
    const float* x = in + at;
    float y[kLane];
    int odd = 0;
#pragma omp simd
    for (int64_t i = 0; i < kLane; ++i) y[i] = static_cast<float>(quick(x[i] > 0 ? x[i] : 1.0));
#pragma omp simd reduction(| : odd)
    for (int64_t i = 0; i < kLane; ++i) odd |= (x[i] > 0) & (x[i] < HUGE_VALF) ? 0 : 1;
    if (odd) {
      for (int64_t i = 0; i < kLane; ++i)
        if (!(x[i] > 0 && x[i] < HUGE_VALF)) y[i] = any(x[i]);
    }
    std::memcpy(out + at, y, sizeof y);
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
