// Elementwise kernels of one input, and the scalar maths of each op, compiled for both devices.
#pragma once

#include "kernels/cpu/exp.h"
#include "kernels/kernel.h"
#include "kernels/plan.h"
#include "kernels/scalar_math.h"
#include "kernels/special_math.h"

namespace norch::kernels {

// The ops, by the dtypes they are compiled for.
#define NORCH_UNARY_FLOAT(X)                                                                                   \
  X(Acos) X(Acosh) X(Asin) X(Asinh) X(Atan) X(Atanh) X(Cos) X(Cosh) X(Digamma) X(Erf) X(Erfc) X(Erfinv) X(Exp) \
  X(Exp2) X(Expm1) X(Lgamma) X(Log) X(Log10) X(Log1p) X(Log2) X(Reciprocal) X(Rsqrt) X(Sigmoid) X(Sin) X(Sinc) \
  X(Sinh) X(Sqrt) X(Tan) X(Tanh) X(Ceil) X(Cube) X(Floor) X(Frac) X(Round) X(Trunc)                  // floats
#define NORCH_UNARY_FLOAT_PARAMETERS(X) X(Logit) X(NanToNum) X(Polygamma) X(RoundDecimals)   // floats; use Parameters
#define NORCH_UNARY_NUMBER(X) X(Abs) X(Neg) X(Sign)                                          // all but bool
#define NORCH_UNARY_BITS(X) X(BitwiseNot)                                                    // integers and bool
#define NORCH_UNARY_TEST(X) \
  X(IsNan) X(IsInf) X(IsFinite) X(IsPosInf) X(IsNegInf) X(Signbit) X(LogicalNot)             // all dtypes, to bool

enum class UnaryOp : uint8_t {
#define NORCH_NAME(name) name,
  NORCH_UNARY_FLOAT(NORCH_NAME) NORCH_UNARY_FLOAT_PARAMETERS(NORCH_NAME) NORCH_UNARY_NUMBER(NORCH_NAME)
  NORCH_UNARY_BITS(NORCH_NAME) NORCH_UNARY_TEST(NORCH_NAME)
#undef NORCH_NAME
};

constexpr bool is_test(UnaryOp op) { return op >= UnaryOp::IsNan; }

/// What some ops take beside their tensors; each functor says what it reads.
struct Parameters {
  double a = 0, b = 0, c = 0;
};

/// out = op(x) over a plan of operands {out, x} of one dtype (out is bool for tests), one of those the op is compiled
/// for.
NORCH_KERNEL(unary, void(UnaryOp op, const Plan& plan, const Parameters& p))

inline namespace NORCH_ISA {

// exp and log. Of floats the CPU has versions of its own, within 1 ulp where those of its vector library are within 4.

template <class T>
NORCH_HD T exp_of(T x) {
#if !defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return cpu::NORCH_ISA::fast_exp(x);
#endif
  return std::exp(x);
}
template <class T>
NORCH_HD T log_of(T x) {
#if !defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return cpu::NORCH_ISA::fast_log(x);
#endif
  return std::log(x);
}

#define NORCH_UNARY(name, base, expression) \
  struct name : base {                      \
    template <class T>                      \
    NORCH_HD T operator()(T x) const {      \
      return expression;                    \
    }                                       \
  };
NORCH_UNARY(Acos, Heavy, std::acos(x))
NORCH_UNARY(Acosh, Heavy, std::acosh(x))
NORCH_UNARY(Asin, Heavy, std::asin(x))
NORCH_UNARY(Asinh, Heavy, std::asinh(x))
NORCH_UNARY(Atan, Heavy, std::atan(x))
NORCH_UNARY(Atanh, Heavy, std::atanh(x))
NORCH_UNARY(Cos, Heavy, std::cos(x))
NORCH_UNARY(Cosh, Heavy, std::cosh(x))
NORCH_UNARY(Digamma, Heavy, digamma(x))
NORCH_UNARY(Erf, Approximate, std::erf(x))
NORCH_UNARY(Erfc, Approximate, std::erfc(x))
NORCH_UNARY(Erfinv, Heavy, erfinv(x))
NORCH_UNARY(Exp, Approximate, exp_of(x))
NORCH_UNARY(Exp2, Heavy, std::exp2(x))
NORCH_UNARY(Expm1, Heavy, std::expm1(x))
NORCH_UNARY(Lgamma, Heavy, log_gamma(x))
NORCH_UNARY(Log, Approximate, log_of(x))
NORCH_UNARY(Log10, Heavy, std::log10(x))
NORCH_UNARY(Log1p, Heavy, std::log1p(x))
NORCH_UNARY(Log2, Heavy, std::log2(x))
NORCH_UNARY(Reciprocal, Exact, T(1) / x)
NORCH_UNARY(Rsqrt, Exact, T(1) / std::sqrt(x))
NORCH_UNARY(Sigmoid, Approximate, T(1) / (T(1) + exp_of(-x)))
NORCH_UNARY(Sin, Heavy, std::sin(x))
NORCH_UNARY(Sinh, Heavy, std::sinh(x))
NORCH_UNARY(Sqrt, Exact, std::sqrt(x))
NORCH_UNARY(Tan, Heavy, std::tan(x))
NORCH_UNARY(Tanh, Approximate, std::tanh(x))
NORCH_UNARY(Ceil, Exact, std::ceil(x))
NORCH_UNARY(Cube, Exact, x * x * x)
NORCH_UNARY(Floor, Exact, std::floor(x))
NORCH_UNARY(Frac, Exact, x - std::trunc(x))
NORCH_UNARY(Round, Exact, std::nearbyint(x))  // halves to even
NORCH_UNARY(Trunc, Exact, std::trunc(x))
NORCH_UNARY(Neg, Exact, is_float_v<T> ? -x : wrapping_sub(T(0), x))
NORCH_UNARY(Sign, Exact, static_cast<T>((T(0) < x) - is_negative(x)))  // 0 for NaN, as PyTorch
#undef NORCH_UNARY

/// sin(pi x) / (pi x), 1 at 0.
struct Sinc : Heavy {
  template <class T>
  NORCH_HD T operator()(T x) const {
    const T y = T(3.14159265358979323846) * x;
    const T ratio = std::sin(y) / y;
    return x == 0 ? T(1) : ratio;
  }
};
struct Abs : Exact {
  template <class T>
  NORCH_HD T operator()(T x) const {
    if constexpr (is_float_v<T>)
      return std::fabs(x);
    else
      return is_negative(x) ? wrapping_sub(T(0), x) : x;
  }
};
struct BitwiseNot : Exact {
  template <class T>
  NORCH_HD T operator()(T x) const {
    if constexpr (std::is_same_v<T, bool>)
      return !x;
    else
      return static_cast<T>(~x);
  }
};

#define NORCH_TEST(name, for_floats, for_integers) \
  struct name : Exact {                            \
    template <class T>                             \
    NORCH_HD bool operator()(T x) const {          \
      (void)x;                                     \
      if constexpr (is_float_v<T>)                 \
        return for_floats;                         \
      else                                         \
        return for_integers;                       \
    }                                              \
  };
NORCH_TEST(IsNan, x != x, false)
NORCH_TEST(IsInf, std::fabs(x) == T(HUGE_VAL), false)
NORCH_TEST(IsPosInf, x == T(HUGE_VAL), false)
NORCH_TEST(IsNegInf, x == -T(HUGE_VAL), false)
NORCH_TEST(IsFinite, std::fabs(x) < T(HUGE_VAL), true)
NORCH_TEST(Signbit, std::copysign(T(1), x) < T(0), is_negative(x))
NORCH_TEST(LogicalNot, x == T(0), x == T(0))
#undef NORCH_TEST

/// log(x / (1 - x)), with x clamped to [a, 1 - a] unless a < 0.
struct Logit : Approximate {
  double a;
  explicit Logit(const Parameters& p) : a(p.a) {}
  template <class T>
  NORCH_HD T operator()(T x) const {
    const T low = T(a), high = T(1) - low;
    const T inside = a < 0 ? x : x < low ? low : x > high ? high : x;
    return log_of(inside / (T(1) - inside));
  }
};
/// NaN, +inf, -inf become a, b, c.
struct NanToNum : Exact {
  double a, b, c;
  explicit NanToNum(const Parameters& p) : a(p.a), b(p.b), c(p.c) {}
  template <class T>
  NORCH_HD T operator()(T x) const {
    return x != x ? T(a) : x == T(HUGE_VAL) ? T(b) : x == -T(HUGE_VAL) ? T(c) : x;
  }
};
/// The a-th derivative of digamma.
struct Polygamma : Heavy {
  int n;
  explicit Polygamma(const Parameters& p) : n(static_cast<int>(p.a)) {}
  template <class T>
  NORCH_HD T operator()(T x) const {
    return polygamma(n, x);
  }
};
/// Rounded to a multiple of 10^-a, halves to even.
struct RoundDecimals : HeavyExact {
  double scale;
  bool digits_after_point;
  explicit RoundDecimals(const Parameters& p) : scale(std::pow(10.0, std::fabs(p.a))), digits_after_point(p.a > 0) {}
  template <class T>
  NORCH_HD T operator()(T x) const {
    const T s = T(scale);
    return digits_after_point ? std::nearbyint(x * s) / s : std::nearbyint(x / s) * s;
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
