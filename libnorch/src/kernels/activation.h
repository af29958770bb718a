// Activation functions and their derivatives: kernels, and the scalar maths compiled for both devices.
#pragma once

#include "kernels/cpu/exp.h"
#include "kernels/cuda_kernel.h"
#include "kernels/kernel.h"
#include "kernels/plan.h"
#include "kernels/scalar_math.h"
#include "kernels/unary.h"
#include "norch/tensor.h"

namespace norch::kernels {

#define NORCH_ACTIVATIONS(X)                                                                                       \
  X(Relu) X(LeakyRelu) X(Elu) X(Gelu) X(GeluTanh) X(Silu) X(Mish) X(Softplus) X(Hardtanh) X(Hardsigmoid)           \
  X(Hardswish) X(Threshold) X(Logsigmoid) X(Softsign) X(Tanhshrink) X(Hardshrink) X(Softshrink) X(SigmoidOfResult) \
  X(TanhOfResult)

enum class Activation : uint8_t {
#define NORCH_NAME(name) name,
  NORCH_ACTIVATIONS(NORCH_NAME)
#undef NORCH_NAME
};

/// out = f(x) over a plan of operands {out, x} of one float dtype. The two OfResult entries have no forward here.
NORCH_KERNEL(activation, void(Activation f, const Plan& plan, const Parameters& p))
/// out = grad * f'(x) over a plan of operands {out, grad, x}; for the OfResult entries x is f's result.
NORCH_KERNEL(activation_backward, void(Activation f, const Plan& plan, const Parameters& p))

/// Those that mostly stand behind a product with a bias, whose gradient is the sum of theirs over the rows.
#define NORCH_ACTIVATIONS_OF_PRODUCTS(X) X(Relu) X(Gelu) X(GeluTanh) X(Silu)

/// dx = g * f'(x) for `rows` rows of n adjacent elements of one float dtype, and sums[column] = the sum over the rows
/// of dx, in float32. For what activation_makes_row_sums says.
NORCH_CUDA_KERNEL(activation_backward_with_sums, void(Activation f, int64_t rows, int64_t n, const Tensor& dx,
                                                      const Tensor& sums, const Tensor& g, const Tensor& x))
inline bool activation_makes_row_sums(Activation f, const Tensor& g, const Tensor& x) {
  switch (f) {
#define NORCH_CASE(name) case Activation::name:
    NORCH_ACTIVATIONS_OF_PRODUCTS(NORCH_CASE)
#undef NORCH_CASE
    break;
    default: return false;
  }
  // Fewer rows leave most of a GPU idle; their sums cost little.
  return x.is_cuda() && is_floating_point(x.dtype()) && x.itemsize() <= 4 && g.dtype() == x.dtype() && x.dim() > 1 &&
         g.sizes() == x.sizes() && x.size(-1) * x.itemsize() % 16 == 0 && x.numel() >= (int64_t{1} << 20) &&
         g.is_contiguous() && x.is_contiguous() &&
         (reinterpret_cast<uintptr_t>(g.data_ptr()) | reinterpret_cast<uintptr_t>(x.data_ptr())) % 16 == 0;
}

inline namespace NORCH_ISA {

// Each struct is made from Parameters (the comment says which), has value(x) and gradient(g, x). T is the type of
// computation. Conditions are written so that NaN passes through.

// Of floats the CPU has versions of its own, shorter than those of its vector library.

/// P(N(0, 1) <= x).
template <class T>
NORCH_HD T normal_cdf(T x) {
#if !defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return cpu::NORCH_ISA::fast_normal_cdf(x);
#endif
  return T(0.5) * (T(1) + std::erf(x * T(0.70710678118654752440)));
}
template <class T>
NORCH_HD T expm1_of(T x) {
#if !defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return cpu::NORCH_ISA::fast_expm1(x);
#endif
  return std::expm1(x);
}

struct Plain {
  static constexpr bool exact = true;
  explicit Plain(const Parameters&) {}
};

struct Relu : Plain {
  using Plain::Plain;
  template <class T>
  NORCH_HD T value(T x) const {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x <= T(0) ? T(0) : g;
  }
};
/// a: slope below zero.
struct LeakyRelu : Plain {
  double a;
  explicit LeakyRelu(const Parameters& p) : Plain(p), a(p.a) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x > T(0) ? x : x * T(a);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x > T(0) ? g : g * T(a);
  }
};
/// b * x above zero, a * (exp(c * x) - 1) below. (elu, selu and celu.)
struct Elu {
  static constexpr bool exact = false;
  double a, b, c;
  explicit Elu(const Parameters& p) : a(p.a), b(p.b), c(p.c) {}
  /// Elements of which value() is no more than value_above().
  template <class T>
  NORCH_HD bool above(T x) const {
    return x >= T(0);
  }
  template <class T>
  NORCH_HD T value_above(T x) const {
    return x * T(b);
  }
  template <class T>
  NORCH_HD T value(T x) const {
    const T below = T(a) * expm1_of(x * T(c));
    return x < T(0) ? below : x * T(b);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T below = g * T(a) * T(c) * exp_of(x * T(c));
    return x > T(0) ? g * T(b) : below;  // NaN for NaN
  }
};
/// x * P(N(0, 1) <= x).
struct Gelu {
  static constexpr bool exact = false;
  explicit Gelu(const Parameters&) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x * normal_cdf(x);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T density = exp_of(x * x * T(-0.5)) * T(0.39894228040143267794);
    return g * (normal_cdf(x) + x * density);
  }
};
/// Gelu with the tanh approximation: x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3). In float32 on the GPU
/// that is x sigmoid(2 u), a quarter of tanhf's instructions, which 16-bit floats would wait for.
struct GeluTanh {
  static constexpr bool exact = false;
  explicit GeluTanh(const Parameters&) {}
  template <class T>
  NORCH_HD T value(T x) const {
#if defined(__CUDA_ARCH__)
    if constexpr (std::is_same_v<T, float>) return x * gate(x);
#endif
    const T inner = T(0.79788456080286535588) * (x + T(0.044715) * x * x * x);
    return T(0.5) * x * (T(1) + std::tanh(inner));
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T slope = T(0.79788456080286535588) * (T(1) + T(3 * 0.044715) * x * x);
#if defined(__CUDA_ARCH__)
    if constexpr (std::is_same_v<T, float>) {
      const float s = gate(x);
      return g * (s + x * s * (1 - s) * (2 * slope));
    }
#endif
    const T t = std::tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x));
    return g * (T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope);
  }

 private:
#if defined(__CUDA_ARCH__)
  /// sigmoid(2 u), to some units of the last place.
  static __device__ __forceinline__ float gate(float x) {
    constexpr double kScale = -2 * 1.44269504088896340736 * 0.79788456080286535588;  // exp(-2 u) as a power of 2
    const float power = x * (static_cast<float>(kScale) + static_cast<float>(kScale * 0.044715) * x * x);
#if defined(__NVCC__)
    float e, s;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(power));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(s) : "f"(1 + e));
    return s;
#else
    return 1 / (1 + exp2f(power));
#endif
  }
#endif
};
/// x * sigmoid(x).
struct Silu {
  static constexpr bool exact = false;
  explicit Silu(const Parameters&) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x / (T(1) + exp_of(-x));
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T s = T(1) / (T(1) + exp_of(-x));
    return g * s * (T(1) + x * (T(1) - s));
  }
};
/// x * tanh(log(1 + exp(x))).
struct Mish {
  static constexpr bool exact = false;
  explicit Mish(const Parameters&) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x * std::tanh(std::log1p(exp_of(x)));
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T t = std::tanh(std::log1p(exp_of(x)));
    const T s = T(1) / (T(1) + exp_of(-x));
    return g * (t + x * s * (T(1) - t * t));
  }
};
/// log(1 + exp(a * x)) / a, and x itself where a * x > b.
struct Softplus {
  static constexpr bool exact = false;
  double a, b, inverse;
  explicit Softplus(const Parameters& p) : a(p.a), b(p.b), inverse(1 / p.a) {}
  template <class T>
  NORCH_HD T value(T x) const {
    const T curve = std::log1p(exp_of(x * T(a))) * T(inverse);
    return x * T(a) > T(b) ? x : curve;
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T curve = g / (T(1) + exp_of(-x * T(a)));
    return x * T(a) > T(b) ? g : curve;
  }
};
/// x limited to [a, b].
struct Hardtanh : Plain {
  double a, b;
  explicit Hardtanh(const Parameters& p) : Plain(p), a(p.a), b(p.b) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x < T(a) ? T(a) : x > T(b) ? T(b) : x;
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x > T(a) && x < T(b) ? g : T(0);  // 0 for NaN
  }
};
struct Hardsigmoid : Plain {
  using Plain::Plain;
  template <class T>
  NORCH_HD T value(T x) const {
    const T y = x + T(3);
    return (y < T(0) ? T(0) : y > T(6) ? T(6) : y) / T(6);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x > T(-3) && x < T(3) ? g / T(6) : T(0);
  }
};
struct Hardswish : Plain {
  using Plain::Plain;
  template <class T>
  NORCH_HD T value(T x) const {
    const T y = x + T(3);
    return x * (y < T(0) ? T(0) : y > T(6) ? T(6) : y) / T(6);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x <= T(-3) ? T(0) : x >= T(3) ? g : g * (x / T(3) + T(0.5));
  }
};
/// x above a, b elsewhere.
struct Threshold : Plain {
  double a, b;
  explicit Threshold(const Parameters& p) : Plain(p), a(p.a), b(p.b) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x <= T(a) ? T(b) : x;
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x <= T(a) ? T(0) : g;
  }
};
/// log(sigmoid(x)).
struct Logsigmoid {
  static constexpr bool exact = false;
  explicit Logsigmoid(const Parameters&) {}
  template <class T>
  NORCH_HD T value(T x) const {
    const T tail = std::log1p(exp_of(-std::fabs(x)));
    return (x > T(0) ? T(0) : x) - tail;
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return g / (T(1) + exp_of(x));
  }
};
/// x / (1 + |x|).
struct Softsign : Plain {
  using Plain::Plain;
  template <class T>
  NORCH_HD T value(T x) const {
    return x / (T(1) + std::fabs(x));
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T y = T(1) + std::fabs(x);
    return g / (y * y) + (x - x);  // NaN at the infinities, as for the quotient that PyTorch differentiates
  }
};
/// x - tanh(x).
struct Tanhshrink {
  static constexpr bool exact = false;
  explicit Tanhshrink(const Parameters&) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x - std::tanh(x);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    const T t = std::tanh(x);
    return g * t * t;
  }
};
/// 0 within [-a, a], x elsewhere.
struct Hardshrink : Plain {
  double a;
  explicit Hardshrink(const Parameters& p) : Plain(p), a(p.a) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x >= T(-a) && x <= T(a) ? T(0) : x;
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x < T(-a) || x > T(a) ? g : T(0);  // 0 for NaN
  }
};
/// x moved towards 0 by a, and 0 within [-a, a].
struct Softshrink : Plain {
  double a;
  explicit Softshrink(const Parameters& p) : Plain(p), a(p.a) {}
  template <class T>
  NORCH_HD T value(T x) const {
    return x > T(a) ? x - T(a) : x < T(-a) ? x + T(a) : x * T(0);
  }
  template <class T>
  NORCH_HD T gradient(T g, T x) const {
    return x < T(-a) || x > T(a) ? g : T(0);  // 0 for NaN
  }
};
struct SigmoidOfResult : Plain {
  using Plain::Plain;
  template <class T>
  NORCH_HD T value(T x) const {
    return x;
  }
  template <class T>
  NORCH_HD T gradient(T g, T y) const {
    return g * ((T(1) - y) * y);
  }
};
struct TanhOfResult : Plain {
  using Plain::Plain;
  template <class T>
  NORCH_HD T value(T x) const {
    return x;
  }
  template <class T>
  NORCH_HD T gradient(T g, T y) const {
    return g * (T(1) - y * y);
  }
};

/// The two sides of an activation as functors of one and two arguments.
template <class A>
struct ValueOf {
  static constexpr bool exact = A::exact;
  static constexpr bool heavy = false;
  A f;
  template <class T>
  NORCH_HD T operator()(T x) const {
    return f.value(x);
  }
};
template <class A>
struct GradientOf {
  static constexpr bool exact = A::exact;
  static constexpr bool heavy = false;
  A f;
  template <class T>
  NORCH_HD T operator()(T g, T x) const {
    return f.gradient(g, x);
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
