// Vector versions of the mathematical functions.
//
// With glibc's libmvec, a loop marked `#pragma omp simd` that calls one of these functions calls a vector version of
// it (4 ulp at most): GCC picks it by these declarations. Include this header in a kernel file that calls them.
#pragma once

#include <cmath>

#if NORCH_HAVE_LIBMVEC
#define NORCH_VECTOR_1(name)                                                   \
  __attribute__((simd("notinbranch"), const)) double name(double) noexcept;    \
  __attribute__((simd("notinbranch"), const)) float name##f(float) noexcept;
#define NORCH_VECTOR_2(name)                                                          \
  __attribute__((simd("notinbranch"), const)) double name(double, double) noexcept;   \
  __attribute__((simd("notinbranch"), const)) float name##f(float, float) noexcept;
extern "C" {
NORCH_VECTOR_1(acos)
NORCH_VECTOR_1(acosh)
NORCH_VECTOR_1(asin)
NORCH_VECTOR_1(asinh)
NORCH_VECTOR_1(atan)
NORCH_VECTOR_1(atanh)
NORCH_VECTOR_1(cos)
NORCH_VECTOR_1(cosh)
NORCH_VECTOR_1(erf)
NORCH_VECTOR_1(erfc)
NORCH_VECTOR_1(exp)
NORCH_VECTOR_1(exp2)
NORCH_VECTOR_1(expm1)
NORCH_VECTOR_1(log)
NORCH_VECTOR_1(log10)
NORCH_VECTOR_1(log1p)
NORCH_VECTOR_1(log2)
NORCH_VECTOR_1(sin)
NORCH_VECTOR_1(sinh)
NORCH_VECTOR_1(tan)
NORCH_VECTOR_1(tanh)
NORCH_VECTOR_2(atan2)
NORCH_VECTOR_2(hypot)
NORCH_VECTOR_2(pow)
}
#undef NORCH_VECTOR_1
#undef NORCH_VECTOR_2
#endif
