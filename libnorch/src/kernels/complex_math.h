// The scalar maths of complex elementwise ops, compiled for both devices.
//
// Functions of the C library's kind (exp, log, acos, ...) come from std::complex on the CPU and from its twin in
// libcu++ on the GPU: both follow C99's Annex G at infinities and on branch cuts. Of finite numbers, some of
// libcu++'s lose digits (asinh all of them, far to the left), so that the GPU has norch's own.
#pragma once

#if defined(__CUDACC__)
#include <cuda/std/complex>
#else
#include <complex>
#endif

#include <cmath>

#include "kernels/complex.h"
#include "kernels/complex_functions.h"
#include "kernels/scalar_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

#if defined(__CUDACC__)
namespace lib = ::cuda::std;
#else
namespace lib = ::std;
#endif

template <class T>
NORCH_HD lib::complex<T> to_lib(Complex<T> z) {
  return {z.re, z.im};
}
template <class T>
NORCH_HD Complex<T> from_lib(lib::complex<T> z) {
  return {z.real(), z.imag()};
}

// The ops that exist for complex numbers, by name in UnaryOp and BinaryOp.
#define NORCH_COMPLEX_ROOTS(X) \
  X(Acos, acos) X(Acosh, acosh) X(Asin, asin) X(Asinh, asinh) X(Atan, atan) X(Atanh, atanh) X(Sqrt, sqrt)
#define NORCH_COMPLEX_TANGENTS(X) X(Tan, tan) X(Tanh, tanh)
#define NORCH_COMPLEX_EXPONENTIALS(X) X(Cos, cos) X(Cosh, cosh) X(Exp, exp) X(Sin, sin) X(Sinh, sinh)
#define NORCH_COMPLEX_INVERSE(X) NORCH_COMPLEX_ROOTS(X) X(Log, log)
#define NORCH_COMPLEX_PERIODIC(X) NORCH_COMPLEX_EXPONENTIALS(X) NORCH_COMPLEX_TANGENTS(X)
#define NORCH_COMPLEX_LIBRARY(X) NORCH_COMPLEX_INVERSE(X) NORCH_COMPLEX_PERIODIC(X)
#define NORCH_COMPLEX_UNARY(X) X(Cube) X(Exp2) X(Expm1) X(Log10) X(Log1p) X(Log2) X(Neg) X(Reciprocal) X(Rsqrt) \
  X(Sigmoid) X(Sinc)
#define NORCH_COMPLEX_TEST(X) X(IsNan) X(IsInf) X(IsFinite) X(LogicalNot)
#define NORCH_COMPLEX_BINARY(X) X(Mul) X(Div) X(Pow)
#define NORCH_COMPLEX_COMPARE(X) X(Eq) X(Ne) X(LogicalAnd) X(LogicalOr) X(LogicalXor)

namespace of_complex {

// Each one call of the library.
#define NORCH_FUNCTOR(name, function)                 \
  struct name : HeavyExact {                          \
    template <class T>                                \
    NORCH_HD Complex<T> operator()(Complex<T> z) const { \
      return from_lib(lib::function(to_lib(z)));      \
    }                                                 \
  };
#if !defined(__CUDACC__)
NORCH_COMPLEX_LIBRARY(NORCH_FUNCTOR)
#undef NORCH_FUNCTOR
#else
NORCH_COMPLEX_EXPONENTIALS(NORCH_FUNCTOR)
NORCH_FUNCTOR(Log, log)
#undef NORCH_FUNCTOR
#define NORCH_FUNCTOR(name, function)                                                                     \
  struct name : HeavyExact {                                                                              \
    template <class T>                                                                                    \
    NORCH_HD Complex<T> operator()(Complex<T> z) const {                                                  \
      const bool finite = kernels::IsFinite()(z.re) && kernels::IsFinite()(z.im);                         \
      return finite ? finite::function(z) : from_lib(lib::function(to_lib(z)));                          \
    }                                                                                                     \
  };
NORCH_COMPLEX_ROOTS(NORCH_FUNCTOR)
NORCH_COMPLEX_TANGENTS(NORCH_FUNCTOR)
#undef NORCH_FUNCTOR
#endif

#define NORCH_FUNCTOR(name, ...)                         \
  struct name : HeavyExact {                             \
    template <class T>                                   \
    NORCH_HD Complex<T> operator()(Complex<T> z) const { \
      __VA_ARGS__                                        \
    }                                                    \
  };
NORCH_FUNCTOR(Cube, return z * z * z;)
NORCH_FUNCTOR(Exp2, constexpr T scale = T(0.69314718055994530942);
              return Exp()(Complex<T>(z.re * scale, z.im * scale));)
// exp(x) cos(y) - 1 without cancellation: cos(y) = 1 - 2 sin(y/2)^2. At infinities and NaN as Annex G has exp.
NORCH_FUNCTOR(Expm1, if (z.im == T(0)) return Complex<T>(std::expm1(z.re) + T(0), z.im);
              if (!kernels::IsFinite()(z.re) || !kernels::IsFinite()(z.im)) return Exp()(z) - Complex<T>(1);
              const T half = std::sin(z.im / 2);
              return Complex<T>(std::expm1(z.re) * std::cos(z.im) - 2 * half * half, std::exp(z.re) * std::sin(z.im));)
NORCH_FUNCTOR(Log10, const Complex<T> y = Log()(z); constexpr T scale = T(0.43429448190325182765);
              return Complex<T>(y.re * scale, y.im * scale);)
NORCH_FUNCTOR(Log2, const Complex<T> y = Log()(z); constexpr T base = T(0.69314718055994530942);
              return Complex<T>(y.re / base, y.im / base);)
// |1 + z|^2 - 1 = x (2 + x) + y^2 keeps the digits of a small z.
NORCH_FUNCTOR(Log1p, const T x = z.re, y = z.im, size = std::hypot(x + 1, y), theta = std::atan2(y, x + 1);
              if (size < T(0.5) || size > T(2)) return Complex<T>(std::log(size), theta);
              return Complex<T>(std::log1p(x * (2 + x) + y * y) / 2, theta);)
NORCH_FUNCTOR(Neg, return -z;)
NORCH_FUNCTOR(Reciprocal, return Complex<T>(1) / z;)
NORCH_FUNCTOR(Rsqrt, return Complex<T>(1) / Sqrt()(z);)
NORCH_FUNCTOR(Sigmoid, return Complex<T>(1) / (Complex<T>(1) + Exp()(-z));)
NORCH_FUNCTOR(Sinc, const Complex<T> y(z.re* T(3.14159265358979323846), z.im* T(3.14159265358979323846));
              return z == Complex<T>(0) ? Complex<T>(1) : Sin()(y) / y;)
#undef NORCH_FUNCTOR

#define NORCH_FUNCTOR(name, for_part, both)       \
  struct name : Exact {                           \
    template <class T>                            \
    NORCH_HD bool operator()(Complex<T> z) const { \
      return for_part(z.re) both for_part(z.im);  \
    }                                             \
  };
NORCH_FUNCTOR(IsNan, kernels::IsNan(), ||)
NORCH_FUNCTOR(IsInf, kernels::IsInf(), ||)
NORCH_FUNCTOR(IsFinite, kernels::IsFinite(), &&)
NORCH_FUNCTOR(LogicalNot, kernels::LogicalNot(), &&)
#undef NORCH_FUNCTOR

/// a + alpha * b.
template <class T>
struct AddScaled : Exact {
  Complex<T> alpha;
  explicit AddScaled(Complex<T> v) : alpha(v) {}
  NORCH_HD Complex<T> operator()(Complex<T> a, Complex<T> b) const { return a + alpha * b; }
};
struct Add : Exact {
  template <class T>
  NORCH_HD Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return a + b;
  }
};
struct Sub : Exact {
  template <class T>
  NORCH_HD Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return a - b;
  }
};
struct Mul : Exact {
  template <class T>
  NORCH_HD Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return a * b;
  }
};
/// By zero, each part is divided: the signs of infinities are those of real numbers.
struct Div : Exact {
  template <class T>
  NORCH_HD Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return b == Complex<T>(0) ? Complex<T>(a.re / b.re, a.im / b.re) : a / b;
  }
};
/// exp(b log(a)); 1 for b == 0, and 0 of 0 for b with a positive real part.
struct Pow : HeavyExact {
  template <class T>
  NORCH_HD Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    if (b == Complex<T>(0)) return Complex<T>(1);
    if (a == Complex<T>(0) && b.re > T(0)) return Complex<T>(0);
    return Exp()(b * Log()(a));
  }
};

#define NORCH_FUNCTOR(name, expression)                        \
  struct name : Exact {                                        \
    template <class T>                                         \
    NORCH_HD bool operator()(Complex<T> a, Complex<T> b) const { \
      return expression;                                       \
    }                                                          \
  };
NORCH_FUNCTOR(Eq, a == b)
NORCH_FUNCTOR(Ne, a != b)
NORCH_FUNCTOR(LogicalAnd, a != Complex<T>(0) && b != Complex<T>(0))
NORCH_FUNCTOR(LogicalOr, a != Complex<T>(0) || b != Complex<T>(0))
NORCH_FUNCTOR(LogicalXor, (a != Complex<T>(0)) != (b != Complex<T>(0)))
#undef NORCH_FUNCTOR

}  // namespace of_complex

[[noreturn]] inline void no_complex_op(const char* op_name, DType t) {
  NORCH_RAISE(NotImplementedError, op_name, ": not implemented for ", t,
              "; complex numbers have no such function (take .real, .imag or .abs())");
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
