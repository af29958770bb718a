// What the scalar functors of the elementwise families share.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "kernels/dispatch.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

/// Base of functors made of operations that IEEE rounds exactly: they give the same bits alone and in a vector loop.
/// `heavy` ones are many instructions, which a GPU kernel calls instead of holding a copy for every element in flight.
struct Exact {
  static constexpr bool exact = true;
  static constexpr bool heavy = false;
};
/// Base of functors that call functions like exp, whose vector versions may differ from the scalar ones in the last
/// place: the CPU always runs the vector version (see kernels/cpu/blocks.h).
struct Approximate {
  static constexpr bool exact = false;
  static constexpr bool heavy = false;
};
struct HeavyExact {
  static constexpr bool exact = true;
  static constexpr bool heavy = true;
};
struct Heavy {
  static constexpr bool exact = false;
  static constexpr bool heavy = true;
};

template <class T>
inline constexpr bool is_float_v = std::is_floating_point_v<T>;

template <class T>
NORCH_HD bool is_nan(T x) {
  if constexpr (is_float_v<T>) return x != x;
  return false;
}

template <class T>
NORCH_HD bool is_negative(T x) {
  if constexpr (std::is_signed_v<T> || is_float_v<T>) return x < T(0);
  return false;
}

/// x + y, x - y, x * y that wrap around in integers, where C++ leaves signed overflow undefined.
template <class T, bool Integer = std::is_integral_v<T> && !std::is_same_v<T, bool>>
struct WrapTypeOf {
  using type = T;
};
template <class T>
struct WrapTypeOf<T, true> {
  // At least unsigned int: narrower types would be promoted to (signed) int, and 65535 * 65535 overflows that.
  using type = std::conditional_t<sizeof(T) < sizeof(unsigned), unsigned, std::make_unsigned_t<T>>;
};
template <class T>
using WrapType = typename WrapTypeOf<T>::type;

template <class T>
NORCH_HD T wrapping_add(T a, T b) {
  return static_cast<T>(static_cast<WrapType<T>>(a) + static_cast<WrapType<T>>(b));
}
template <class T>
NORCH_HD T wrapping_sub(T a, T b) {
  return static_cast<T>(static_cast<WrapType<T>>(a) - static_cast<WrapType<T>>(b));
}
template <class T>
NORCH_HD T wrapping_mul(T a, T b) {
  return static_cast<T>(static_cast<WrapType<T>>(a) * static_cast<WrapType<T>>(b));
}

/// a * b + c. Of floats in one rounding, on GPUs and on processors with an instruction for it, as in PyTorch's kernels.
template <class T>
NORCH_HD T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__CUDA_ARCH__)
  if constexpr (is_float_v<T>) return std::fma(a, b, c);
#endif
  return wrapping_add(wrapping_mul(a, b), c);
}

/// a / b in integers, towards zero; 0 for b == 0 (the CPU kernels raise beforehand), wrap-around for min / -1.
template <class T>
NORCH_HD T integer_quotient(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return wrapping_sub(T(0), a);
  }
  return static_cast<T>(a / b);
}

/// The larger (smaller) value; NaN if either is. Of equal values the first, so that signs of zeros are PyTorch's.
template <class T>
NORCH_HD T nan_max(T a, T b) {
  return (a >= b) | is_nan(a) ? a : b;
}
template <class T>
NORCH_HD T nan_min(T a, T b) {
  return (a <= b) | is_nan(a) ? a : b;
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
