// Elementwise kernels of two inputs, and the scalar maths of each op, compiled for both devices.
#pragma once

#include "kernels/kernel.h"
#include "kernels/plan.h"
#include "kernels/scalar_math.h"

namespace norch::kernels {

// The ops, by the dtypes they are compiled for. Inputs and output have one dtype, but comparisons give bool.
#define NORCH_BINARY_ANY(X) X(Mul) X(Maximum) X(Minimum) X(Fmax) X(Fmin)               // all dtypes
#define NORCH_BINARY_SCALED(X) X(Add) X(Sub)                                           // all dtypes; b * alpha
#define NORCH_BINARY_NUMBER(X) X(DivFloor) X(DivTrunc) X(Remainder) X(Fmod) X(Pow)     // all but bool
#define NORCH_BINARY_FLOAT(X) \
  X(Div) X(Atan2) X(Hypot) X(Copysign) X(Nextafter) X(Logaddexp) X(Logaddexp2) X(Xlogy)  // floats
#define NORCH_BINARY_BITS(X) X(BitwiseAnd) X(BitwiseOr) X(BitwiseXor) X(LeftShift) X(RightShift)  // integers and bool
#define NORCH_BINARY_COMPARE(X) \
  X(Eq) X(Ne) X(Lt) X(Le) X(Gt) X(Ge) X(LogicalAnd) X(LogicalOr) X(LogicalXor)           // all dtypes, to bool

enum class BinaryOp : uint8_t {
#define NORCH_NAME(name) name,
  NORCH_BINARY_ANY(NORCH_NAME) NORCH_BINARY_SCALED(NORCH_NAME) NORCH_BINARY_NUMBER(NORCH_NAME)
  NORCH_BINARY_FLOAT(NORCH_NAME) NORCH_BINARY_BITS(NORCH_NAME) NORCH_BINARY_COMPARE(NORCH_NAME)
#undef NORCH_NAME
};

constexpr bool is_comparison(BinaryOp op) { return op >= BinaryOp::Eq; }

/// out = op(a, b) over a plan of operands {out, a, b}; a and b have the same dtype, one of those the op is compiled
/// for, but beside 16-bit floats a number may be float32. Add and Sub multiply b by `alpha`. The CUDA twin also adds
/// float32 and a 16-bit float, in either order, with an alpha of 1. \throws Error on the CPU for an integer divided by
/// zero.
NORCH_KERNEL(binary, void(BinaryOp op, const Plan& plan, const Scalar& alpha))

inline namespace NORCH_ISA {

// The functors take and give ComputeType values.

struct Mul : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, bool>) return a && b;
    return wrapping_mul(a, b);
  }
};
struct Maximum : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return nan_max(a, b);
  }
};
struct Minimum : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return nan_min(a, b);
  }
};
/// As Maximum and Minimum, but a number wins over NaN.
struct Fmax : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return (a >= b) | is_nan(b) ? a : b;
  }
};
struct Fmin : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return (a <= b) | is_nan(b) ? a : b;
  }
};

struct Add : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, bool>) return a || b;
    return wrapping_add(a, b);
  }
};
struct Sub : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return wrapping_sub(a, b);
  }
};
/// a + alpha * b, of values of type C.
template <class C>
struct AddScaled : Exact {
  C alpha;
  explicit AddScaled(C v) : alpha(v) {}
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, bool>) return a || (alpha && b);
    return multiply_add(alpha, b, a);
  }
};

// For floats the next three start from fmod(a, b), which they get as an argument: the CPU has a vector version.

/// Rounded towards minus infinity, as Python's //.
struct DivFloor : HeavyExact {
  template <class T>
  static NORCH_HD T from_mod(T a, T b, T mod) {
    if (b == 0) return a / b;
    const T exact = (a - mod) / b;
    const T div = mod != 0 && (b < 0) != (mod < 0) ? exact - T(1) : exact;
    const T floored = std::floor(div);
    const T rounded = div - floored > T(0.5) ? floored + T(1) : floored;
    return div == 0 ? std::copysign(T(0), a / b) : rounded;
  }
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (is_float_v<T>) {
      return from_mod(a, b, std::fmod(a, b));
    } else {
      const T q = integer_quotient(a, b);
      if constexpr (std::is_signed_v<T>) {
        if (b != 0 && (a < 0) != (b < 0) && wrapping_mul(q, b) != a) return static_cast<T>(q - 1);
      }
      return q;
    }
  }
};
struct DivTrunc : HeavyExact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (is_float_v<T>)
      return std::trunc(a / b);
    else
      return integer_quotient(a, b);
  }
};
/// With the sign of the divisor, as Python's %.
struct Remainder : HeavyExact {
  template <class T>
  static NORCH_HD T from_mod(T, T b, T mod) {
    return mod != 0 && (b < 0) != (mod < 0) ? mod + b : mod;
  }
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (is_float_v<T>) {
      return from_mod(a, b, std::fmod(a, b));
    } else {
      const T mod = wrapping_sub(a, wrapping_mul(integer_quotient(a, b), b));
      if constexpr (std::is_signed_v<T>) {
        if (mod != 0 && (b < 0) != (mod < 0)) return static_cast<T>(mod + b);
      }
      return mod;
    }
  }
};
/// With the sign of the dividend, as C's %.
struct Fmod : HeavyExact {
  template <class T>
  static NORCH_HD T from_mod(T, T, T mod) {
    return mod;
  }
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (is_float_v<T>)
      return std::fmod(a, b);
    else
      return wrapping_sub(a, wrapping_mul(integer_quotient(a, b), b));
  }
};
/// Integers wrap around; a negative exponent gives the power truncated: 1, -1 or 0.
struct Pow : Heavy {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (is_float_v<T>) {
      return std::pow(a, b);
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (b < 0) return a == 1 ? T(1) : a == -1 ? (b % 2 == 0 ? T(1) : T(-1)) : T(0);
      }
      T power = 1;
      for (; b; b = static_cast<T>(b / 2)) {
        if (b % 2) power = wrapping_mul(power, a);
        a = wrapping_mul(a, a);
      }
      return power;
    }
  }
};

struct Div : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return a / b;
  }
};
struct Atan2 : Heavy {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return std::atan2(a, b);
  }
};
struct Hypot : Heavy {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return std::hypot(a, b);
  }
};
struct Copysign : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return std::copysign(a, b);
  }
};
struct Nextafter : HeavyExact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return std::nextafter(a, b);
  }
};
/// log(exp(a) + exp(b)) without overflow.
struct Logaddexp : Heavy {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    const T high = nan_max(a, b);
    const T small = std::log1p(std::exp(-std::fabs(a - b)));
    return std::isinf(a) && a == b ? a : high + small;
  }
};
struct Logaddexp2 : Heavy {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    const T high = nan_max(a, b);
    const T small = std::log1p(std::exp2(-std::fabs(a - b))) * T(1.44269504088896340736);
    return std::isinf(a) && a == b ? a : high + small;
  }
};
/// a * log(b), with 0 for a == 0 unless b is NaN.
struct Xlogy : Heavy {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    const T product = a * std::log(b);
    return a == 0 && !is_nan(b) ? T(0) : product;
  }
};

struct BitwiseAnd : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitwiseOr : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitwiseXor : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
/// Shifts by less than 0 or by the width or more: what an endless shift gives.
struct LeftShift : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if (is_negative(b) || static_cast<uint64_t>(b) >= 8 * sizeof(T)) return 0;
    return static_cast<T>(static_cast<WrapType<T>>(a) << static_cast<int>(b));
  }
};
struct RightShift : Exact {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    constexpr int last = 8 * sizeof(T) - 1;
    const bool endless = is_negative(b) || static_cast<uint64_t>(b) > static_cast<uint64_t>(last);
    if (endless && !std::is_signed_v<T>) return 0;
    return static_cast<T>(a >> (endless ? last : static_cast<int>(b)));
  }
};

#define NORCH_COMPARISON(name, expression)     \
  struct name : Exact {                        \
    template <class T>                         \
    NORCH_HD bool operator()(T a, T b) const { \
      return expression;                       \
    }                                          \
  };
NORCH_COMPARISON(Eq, a == b)
NORCH_COMPARISON(Ne, a != b)
NORCH_COMPARISON(Lt, a < b)
NORCH_COMPARISON(Le, a <= b)
NORCH_COMPARISON(Gt, a > b)
NORCH_COMPARISON(Ge, a >= b)
NORCH_COMPARISON(LogicalAnd, (a != 0) & (b != 0))
NORCH_COMPARISON(LogicalOr, (a != 0) | (b != 0))
NORCH_COMPARISON(LogicalXor, (a != 0) != (b != 0))
#undef NORCH_COMPARISON

}  // namespace NORCH_ISA
}  // namespace norch::kernels
