// Functions of float32 that cost fewer instructions than CUDA's own, whose operations take longer than memory does.
#pragma once

#include "kernels/binary.h"

namespace norch::kernels::cuda {

namespace float_math {

__device__ __forceinline__ uint32_t bits_of(float x) { return __float_as_uint(x); }

/// 1 / x, almost; 0 for x above 2^126, infinity for denormal ones.
__device__ __forceinline__ float reciprocal(float x) {
#if defined(__NVCC__)
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return 1 / x;
#endif
}

/// log2(x) for a float x > 0 that is finite and not denormal, within 2^-33 of its size: minimax polynomials for
/// log2(1 + r) / r, the last terms in float, for r in [1 / sqrt(2) - 1, sqrt(2) - 1].
__device__ __forceinline__ double log2_of(float x) {
  constexpr uint32_t kRootHalf = 0x3F3504F3u;
  const uint32_t bits = bits_of(x);
  const int exponent = static_cast<int>(bits - kRootHalf) >> 23;
  const float r = __uint_as_float(bits - (static_cast<uint32_t>(exponent) << 23)) - 1;
  float tail = -0.06973895221f;
  tail = fmaf(tail, r, 0.1325105742f);
  tail = fmaf(tail, r, -0.134628345f);
  tail = fmaf(tail, r, 0.1302757736f);
  tail = fmaf(tail, r, -0.1424988552f);
  tail = fmaf(tail, r, 0.1602166755f);
  tail = fmaf(tail, r, -0.180436733f);
  const double d = r;
  double sum = fma(static_cast<double>(tail), d, 0.2061071215557312103);
  sum = fma(sum, d, -0.2404464342020311048);
  sum = fma(sum, d, 0.2885387957828822061);
  sum = fma(sum, d, -0.3606737931281411346);
  sum = fma(sum, d, 0.4808983488022685531);
  sum = fma(sum, d, -0.7213475203275882218);
  sum = fma(sum, d, 1.442695040886575362);
  // The exponent as a double, by its bits: a conversion would cost four times as much.
  constexpr double kOffset = 4503601774854144.0;  // 2^52 + 2^31
  const double whole = __hiloint2double(0x43300000, static_cast<int>(0x80000000u) ^ exponent) - kOffset;
  return fma(sum, d, whole);
}

/// 2^f for f in [-1/2, 1/2].
__device__ __forceinline__ float exp2_of(float f) {
  float sum = 0.0001546963291f;
  sum = fmaf(sum, f, 0.001339086568f);
  sum = fmaf(sum, f, 0.009618031091f);
  sum = fmaf(sum, f, 0.0555035711f);
  sum = fmaf(sum, f, 0.2402265108f);
  sum = fmaf(sum, f, 0.693147188f);
  return fmaf(sum, f, 1);
}

// What the next two leave to CUDA and to DivFloor.
inline __device__ __noinline__ float any_power(float a, float b) { return ::powf(a, b); }
inline __device__ __noinline__ float any_floor_quotient(float a, float b) { return DivFloor{}(a, b); }

/// a^b within 1 ulp: 2^(b log2 |a|), the logarithm and the product in double, which an H100 computes half as fast as
/// float. What is not finite or not normal is left to CUDA.
__device__ __forceinline__ float power(float a, float b) {
  constexpr uint32_t kLeast = 0x00800000u, kInfinity = 0x7F800000u;
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: a sum with it has the whole number in its lowest bits
  const uint32_t bits = bits_of(a) & 0x7FFFFFFFu;
  const double y = static_cast<double>(b) * log2_of(__uint_as_float(bits)), sum = y + kRound;
  constexpr uint32_t kMost = 0x405F4000u;  // the upper half of 125
  if (bits - kLeast >= kInfinity - kLeast || (static_cast<uint32_t>(__double2hiint(y)) & 0x7FFFFFFFu) >= kMost)
    return any_power(a, b);
  const uint32_t fraction = bits_of(exp2_of(static_cast<float>(y - (sum - kRound))));
  const float size = __uint_as_float(fraction + (static_cast<uint32_t>(__double2loint(sum)) << 23));
  if (a > 0) return size;
  const float whole = truncf(b);
  if (whole != b) return __uint_as_float(0x7FFFFFFFu);  // NaN
  return fabsf(b) < 16777216.0f && (static_cast<int>(b) & 1) ? -size : size;
}

/// As DivFloor: a / b rounded towards minus infinity, exactly. The quotient is first rounded from an approximate one,
/// and then corrected by what is left of a, which is exact in one fused operation.
__device__ __forceinline__ float floor_quotient(float a, float b) {
  const float near = reciprocal(b), inverse = fmaf(fmaf(-b, near, 1), near, near), size = fabsf(b);
  const float q = fabsf(a) < size ? 0.0f : floorf(a * inverse);
  constexpr float kMost = 1048576.0f, kLeast = 1e-36f;  // a quotient within 1 of the right one; a size with an inverse
  if (!(fabsf(q) < kMost && size > kLeast && size < 1 / kLeast && fabsf(a) <= 3.4e38f)) return any_floor_quotient(a, b);
  const uint32_t sign = bits_of(b) & 0x80000000u;
  const float left = __uint_as_float(bits_of(fmaf(-q, b, a)) ^ sign);  // in the direction of b
  const float floored = left < 0 ? q - 1 : left >= size ? q + 1 : q;
  return floored == 0 ? __uint_as_float((bits_of(a) & 0x80000000u) ^ sign) : floored;
}

}  // namespace float_math

/// The functor that computes F on the GPU.
template <class F>
struct OnGpu {
  using type = F;
};
struct GpuPow : Pow {
  using Pow::operator();
  __device__ float operator()(float a, float b) const { return float_math::power(a, b); }
};
template <>
struct OnGpu<Pow> {
  using type = GpuPow;
};
struct GpuDivFloor : DivFloor {
  using DivFloor::operator();
  __device__ float operator()(float a, float b) const { return float_math::floor_quotient(a, b); }
};
template <>
struct OnGpu<DivFloor> {
  using type = GpuDivFloor;
};

}  // namespace norch::kernels::cuda
