// Runs of float16 to and from float, with the processor's own conversions where the instruction set has them.
#pragma once

#include <cstring>

#include "norch/dtype.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace norch::kernels::cpu::NORCH_ISA {

inline void convert_run(float* out, const Half* in, int64_t n) {
#if defined(__F16C__)
  // GCC does not vectorise these conversions by itself. A rest of less than a vector passes through a buffer.
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  if (i == n) return;
  Half rest[8] = {};
  float wide[8];
  std::memcpy(static_cast<void*>(rest), in + i, static_cast<size_t>(n - i) * sizeof(Half));
  _mm256_storeu_ps(wide, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rest))));
  std::memcpy(out + i, wide, static_cast<size_t>(n - i) * sizeof(float));
#else
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]);
#endif
}

inline void convert_run(Half* out, const float* in, int64_t n) {
#if defined(__F16C__)
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  if (i == n) return;
  float rest[8] = {};
  Half narrow[8];
  std::memcpy(rest, in + i, static_cast<size_t>(n - i) * sizeof(float));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(narrow),
                   _mm256_cvtps_ph(_mm256_loadu_ps(rest), _MM_FROUND_TO_NEAREST_INT));
  std::memcpy(static_cast<void*>(out + i), narrow, static_cast<size_t>(n - i) * sizeof(Half));
#else
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = Half(in[i]);
#endif
}

}  // namespace norch::kernels::cpu::NORCH_ISA
