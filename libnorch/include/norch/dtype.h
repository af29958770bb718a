// Element types: the DType enumeration, the 16-bit float types, and promotion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "norch/export.h"
#include "norch/error.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define NORCH_HD __host__ __device__ __forceinline__
#else
#define NORCH_HD inline
#endif

namespace norch {

/// Element type of a tensor. Order is by promotion category: bool, integers, floats.
enum class DType : uint8_t { Bool, UInt8, Int8, Int16, Int32, Int64, Float16, BFloat16, Float32, Float64 };
inline constexpr int kNumDTypes = 10;

inline constexpr DType kBool = DType::Bool, kUInt8 = DType::UInt8, kInt8 = DType::Int8, kInt16 = DType::Int16,
                       kInt32 = DType::Int32, kInt64 = DType::Int64, kFloat16 = DType::Float16,
                       kBFloat16 = DType::BFloat16, kFloat32 = DType::Float32, kFloat64 = DType::Float64;

/// Bytes per element.
constexpr size_t itemsize(DType t) {
  constexpr uint8_t sizes[kNumDTypes] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8};
  return sizes[static_cast<int>(t)];
}
constexpr bool is_floating_point(DType t) { return t >= DType::Float16; }
constexpr bool is_integral(DType t, bool include_bool = false) {
  return t < DType::Float16 && (include_bool || t != DType::Bool);
}
constexpr bool is_signed(DType t) { return t != DType::Bool && t != DType::UInt8; }
/// Name without prefix: "float32".
NORCH_API const char* name(DType t);
/// PyTorch's promotion lattice for two tensors' dtypes (e.g. uint8 + int8 -> int16, int64 + float16 -> float16).
NORCH_API DType promote_types(DType a, DType b);
/// Whether a result of dtype `from` may be stored in place into a tensor of dtype `to` (float -> int may not).
NORCH_API bool can_cast(DType from, DType to);
/// The dtype of float results when nothing else decides it; float32 unless changed.
NORCH_API DType default_dtype();
/// \throws TypeError unless `t` is floating point.
NORCH_API void set_default_dtype(DType t);
inline void append(std::string& s, DType t) { s += name(t); }

namespace detail {
inline uint32_t float_bits(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
}
inline float bits_float(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
}  // namespace detail

/// IEEE binary16. Arithmetic happens in float; conversions round to nearest even.
struct Half {
  uint16_t bits;
  Half() = default;
  NORCH_HD Half(float f) { bits = from_float(f); }
  NORCH_HD operator float() const { return to_float(bits); }

  static NORCH_HD uint16_t from_float(float f) {
#if defined(__CUDA_ARCH__)
    return __half_as_ushort(__float2half_rn(f));
#else
    // Branch-free so that loops vectorise. After Maratyszcza's FP16 technique: scaling up and down by powers of two
    // lets the float adder do the rounding, including into the subnormals.
    const uint32_t w = detail::float_bits(f);
    const uint32_t shl1 = w + w;
    const uint32_t sign = w & 0x80000000u;
    uint32_t bias = shl1 & 0xFF000000u;
    bias = bias < 0x71000000u ? 0x71000000u : bias;
    float base = (detail::bits_float(w & 0x7FFFFFFFu) * 0x1.0p+112f) * 0x1.0p-110f;
    base = detail::bits_float((bias >> 1) + 0x07800000u) + base;
    const uint32_t b = detail::float_bits(base);
    const uint32_t nonsign = ((b >> 13) & 0x7C00u) + (b & 0x0FFFu);
    return static_cast<uint16_t>((sign >> 16) | (shl1 > 0xFF000000u ? 0x7E00u : nonsign));
#endif
  }
  static NORCH_HD float to_float(uint16_t h) {
#if defined(__CUDA_ARCH__)
    return __half2float(__ushort_as_half(h));
#else
    const uint32_t w = static_cast<uint32_t>(h) << 16;
    const uint32_t sign = w & 0x80000000u;
    const uint32_t two_w = w + w;
    const float normal = detail::bits_float((two_w >> 4) + (0xE0u << 23)) * 0x1.0p-112f;
    const float subnormal = detail::bits_float((two_w >> 17) | (126u << 23)) - 0.5f;
    return detail::bits_float(sign | (two_w < (1u << 27) ? detail::float_bits(subnormal) : detail::float_bits(normal)));
#endif
  }
};

/// The upper half of a binary32. Arithmetic happens in float; conversions round to nearest even.
struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  NORCH_HD BFloat16(float f) { bits = from_float(f); }
  NORCH_HD operator float() const { return to_float(bits); }

  static NORCH_HD uint16_t from_float(float f) {
#if defined(__CUDA_ARCH__)
    return __bfloat16_as_ushort(__float2bfloat16_rn(f));
#else
    const uint32_t w = detail::float_bits(f);
    const uint32_t rounded = (w + 0x7FFFu + ((w >> 16) & 1u)) >> 16;
    return static_cast<uint16_t>((w & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC0u : rounded);
#endif
  }
  static NORCH_HD float to_float(uint16_t b) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(static_cast<uint32_t>(b) << 16);
#else
    return detail::bits_float(static_cast<uint32_t>(b) << 16);
#endif
  }
};

/// The DType of a C++ element type: dtype_of<float> == DType::Float32.
template <class T>
inline constexpr DType dtype_of = T::unsupported_element_type;
template <> inline constexpr DType dtype_of<bool> = DType::Bool;
template <> inline constexpr DType dtype_of<uint8_t> = DType::UInt8;
template <> inline constexpr DType dtype_of<int8_t> = DType::Int8;
template <> inline constexpr DType dtype_of<int16_t> = DType::Int16;
template <> inline constexpr DType dtype_of<int32_t> = DType::Int32;
template <> inline constexpr DType dtype_of<int64_t> = DType::Int64;
template <> inline constexpr DType dtype_of<Half> = DType::Float16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::BFloat16;
template <> inline constexpr DType dtype_of<float> = DType::Float32;
template <> inline constexpr DType dtype_of<double> = DType::Float64;

}  // namespace norch
