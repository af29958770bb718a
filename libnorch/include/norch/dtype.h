// Element types: the DType enumeration, the 16-bit float types, complex numbers, and promotion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

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

/// Element type of a tensor. Order is by promotion category: bool, integers, floats, complex numbers.
enum class DType : uint8_t {
  Bool, UInt8, UInt16, UInt32, UInt64, Int8, Int16, Int32, Int64,
  Float16, BFloat16, Float32, Float64, Complex64, Complex128,
};
inline constexpr int kNumDTypes = 15;

inline constexpr DType kBool = DType::Bool, kUInt8 = DType::UInt8, kUInt16 = DType::UInt16, kUInt32 = DType::UInt32,
                       kUInt64 = DType::UInt64, kInt8 = DType::Int8, kInt16 = DType::Int16, kInt32 = DType::Int32,
                       kInt64 = DType::Int64, kFloat16 = DType::Float16, kBFloat16 = DType::BFloat16,
                       kFloat32 = DType::Float32, kFloat64 = DType::Float64, kComplex64 = DType::Complex64,
                       kComplex128 = DType::Complex128;

/// Bytes per element.
constexpr size_t itemsize(DType t) {
  constexpr uint8_t sizes[kNumDTypes] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
  return sizes[static_cast<int>(t)];
}
constexpr bool is_complex(DType t) { return t >= DType::Complex64; }
/// Whether one of the real float types.
constexpr bool is_floating_point(DType t) { return t >= DType::Float16 && t < DType::Complex64; }
constexpr bool is_integral(DType t, bool include_bool = false) {
  return t < DType::Float16 && (include_bool || t != DType::Bool);
}
/// Whether tensors of the type have gradients: floats and complex numbers.
constexpr bool is_differentiable(DType t) { return t >= DType::Float16; }
constexpr bool is_signed(DType t) { return t >= DType::Int8; }
/// The type of the real and imaginary parts of a complex type; any other type itself.
constexpr DType to_real(DType t) {
  return t == DType::Complex64 ? DType::Float32 : t == DType::Complex128 ? DType::Float64 : t;
}
/// The complex type whose parts hold a float type (complex64 for the 16-bit ones); a complex type itself. Others count
/// as float32.
constexpr DType to_complex(DType t) {
  return t == DType::Float64 || t == DType::Complex128 ? DType::Complex128 : DType::Complex64;
}
/// Name without prefix: "float32".
NORCH_API const char* name(DType t);
/// PyTorch's promotion lattice for two tensors' dtypes (e.g. uint8 + int8 -> int16, int64 + float16 -> float16,
/// float64 + complex64 -> complex128). uint16, uint32 and uint64, which PyTorch promotes with floats only, also promote
/// with other integers, as the array API standard has it: to the smallest type that holds both.
/// \throws Error where there is none (uint64 with a signed type) and for those three with bool and complex types.
NORCH_API DType promote_types(DType a, DType b);
/// Whether a result of dtype `from` may be stored in place into a tensor of dtype `to`: not complex -> real, not
/// float -> integer, nothing but bool -> bool.
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

/// A complex number, laid out as std::complex<T>, to and from which it converts. Works on both devices.
/// \code
/// norch::Complex<float> z{1, 2};
/// std::complex<float> s = z * z;  // (-3, 4)
/// \endcode
template <class T>
struct Complex {
  using value_type = T;
  T re, im;

  Complex() = default;
  constexpr NORCH_HD Complex(T real, T imag = T(0)) : re(real), im(imag) {}
  /// From any type with real() and imag(): std::complex, or another width.
  template <class Z, class = decltype(std::declval<const Z&>().imag())>
  constexpr NORCH_HD Complex(const Z& z) : re(static_cast<T>(z.real())), im(static_cast<T>(z.imag())) {}
  template <class Z, class = std::enable_if_t<std::is_same_v<typename Z::value_type, T>>,
            class = decltype(std::declval<const Z&>().imag())>
  constexpr operator Z() const {
    return Z(re, im);
  }

  constexpr NORCH_HD T real() const { return re; }
  constexpr NORCH_HD T imag() const { return im; }

  friend constexpr NORCH_HD Complex operator-(Complex a) { return {-a.re, -a.im}; }
  friend constexpr NORCH_HD Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
  friend constexpr NORCH_HD Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
  friend constexpr NORCH_HD Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  /// Smith's method: scaled by the divisor's larger part, so that squares neither overflow nor vanish.
  friend constexpr NORCH_HD Complex operator/(Complex a, Complex b) {
    const T x = b.re < 0 ? -b.re : b.re, y = b.im < 0 ? -b.im : b.im;
    if (x >= y) {
      if (x == T(0) && y == T(0)) return {a.re / x, a.im / x};
      const T ratio = b.im / b.re, scale = T(1) / (b.re + b.im * ratio);
      return {(a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale};
    }
    const T ratio = b.re / b.im, scale = T(1) / (b.re * ratio + b.im);
    return {(a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale};
  }
  friend constexpr NORCH_HD bool operator==(Complex a, Complex b) { return a.re == b.re && a.im == b.im; }
  friend constexpr NORCH_HD bool operator!=(Complex a, Complex b) { return !(a == b); }
};

template <class T>
inline constexpr bool is_complex_v = false;
template <class T>
inline constexpr bool is_complex_v<Complex<T>> = true;

/// The DType of a C++ element type: dtype_of<float> == DType::Float32.
template <class T>
inline constexpr DType dtype_of = T::unsupported_element_type;
template <> inline constexpr DType dtype_of<bool> = DType::Bool;
template <> inline constexpr DType dtype_of<uint8_t> = DType::UInt8;
template <> inline constexpr DType dtype_of<uint16_t> = DType::UInt16;
template <> inline constexpr DType dtype_of<uint32_t> = DType::UInt32;
template <> inline constexpr DType dtype_of<uint64_t> = DType::UInt64;
template <> inline constexpr DType dtype_of<int8_t> = DType::Int8;
template <> inline constexpr DType dtype_of<int16_t> = DType::Int16;
template <> inline constexpr DType dtype_of<int32_t> = DType::Int32;
template <> inline constexpr DType dtype_of<int64_t> = DType::Int64;
template <> inline constexpr DType dtype_of<Half> = DType::Float16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::BFloat16;
template <> inline constexpr DType dtype_of<float> = DType::Float32;
template <> inline constexpr DType dtype_of<double> = DType::Float64;
template <> inline constexpr DType dtype_of<Complex<float>> = DType::Complex64;
template <> inline constexpr DType dtype_of<Complex<double>> = DType::Complex128;

}  // namespace norch
