// Fused optimizer steps over lists of parameters, and the arithmetic of each, compiled for both devices.
#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/narrow_kernel.h"
#include "kernels/scalar_math.h"
#include "norch/optim.h"

namespace norch::kernels {

/// One parameter's memory: flat arrays of n elements of one dtype, in the order parameter, gradient, state.
struct OptimTensor {
  static constexpr int kArrays = 5;
  int64_t n;
  void* data[kArrays];
  double number[3];  // what depends on the step: Adam's lr / (1 - beta1^step) and sqrt(1 - beta2^step), ...
  bool first;        // SGD: the momentum buffer holds nothing yet
  float* step;       // CUDA, Adam: the step count, from which the kernel takes its numbers; or null
};
using OptimTensors = std::vector<OptimTensor>;

/// `skip`, if not null, is a number on the device: where it is not zero, nothing is written and no step counted.
NORCH_NARROW_KERNEL(sgd_step, void(DType dtype, const OptimTensors& list, const optim::SgdOptions& options,
                                   const float* skip))
NORCH_NARROW_KERNEL(adam_step, void(DType dtype, const OptimTensors& list, const optim::AdamOptions& options,
                                    const float* skip))
NORCH_NARROW_KERNEL(rmsprop_step, void(DType dtype, const OptimTensors& list, const optim::RmspropOptions& options))

/// partial[k] = sum over the elements of chunk k of |x|^p, or their maximum for p = inf, or the count of nonzeros for
/// p = 0. Chunks of kNormChunk elements, of data[0] of each entry in turn; `partial` is float64.
NORCH_NARROW_KERNEL(norm_chunks, void(DType dtype, const OptimTensors& list, double p, const Tensor& partial))
/// From the partial results: result[0] = the norm, result[1] = min(1, max_norm / (norm + 1e-6)), both float64.
NORCH_NARROW_KERNEL(norm_finish, void(const Tensor& partial, double p, double max_norm, const Tensor& result))
/// data[0] of each entry is multiplied by coefficient[1].
NORCH_NARROW_KERNEL(scale_list, void(DType dtype, const OptimTensors& list, const Tensor& coefficient))

/// data[1] of each entry, of the 16-bit float dtype `to`, becomes data[0], of float32.
NORCH_NARROW_KERNEL(narrow_list, void(DType to, const OptimTensors& list))

/// data[0] of each entry is multiplied by the float32 number `inverse_scale`; the float32 number `found_inf` becomes 1
/// where an element was not finite.
NORCH_NARROW_KERNEL(unscale_list, void(DType dtype, const OptimTensors& list, const Tensor& inverse_scale,
                                       const Tensor& found_inf))
/// The float32 number `scale` for the next step and the int32 number of steps since it changed; see optim::update_scale_.
NORCH_NARROW_KERNEL(update_scale, void(const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf,
                                       double growth, double backoff, int64_t interval))

inline constexpr int64_t kNormChunk = 16384;

inline namespace NORCH_ISA {

// A step that is not inlined into its loop keeps the loop from being vectorised.
#if defined(__CUDACC__)
#define NORCH_STEP NORCH_HD
#else
#define NORCH_STEP __attribute__((always_inline)) inline
#endif

// Where PyTorch's sequence of operations rounds once (add with alpha, addcmul, lerp), a step does so too (multiply_add).

/// The state arrays of a step come as separate arguments s0, s1, s2; a step that has fewer leaves them out.
/// C is the type that is computed in.
template <class C>
struct PerTensor {
  C a, b, c;  // OptimTensor::number
  bool first;
  PerTensor() = default;
  explicit PerTensor(const OptimTensor& t)
      : a(static_cast<C>(t.number[0])), b(static_cast<C>(t.number[1])), c(static_cast<C>(t.number[2])), first(t.first) {}
};

/// base^n by squaring: the same bits on every device.
NORCH_HD double whole_power(double base, int64_t n) {
  double result = 1;
  for (; n > 0; n >>= 1) {
#if defined(__CUDA_ARCH__)
    if (n & 1) result = __dmul_rn(result, base);
    base = __dmul_rn(base, base);
#else
    if (n & 1) result *= base;
    base *= base;
#endif
  }
  return result;
}
/// Adam's two numbers for step number `step`.
NORCH_HD void adam_bias(double lr, double beta1, double beta2, int64_t step, double* number) {
  number[0] = lr / (1 - whole_power(beta1, step));
  number[1] = std::sqrt(1 - whole_power(beta2, step));
}

/// a + w * (b - a), rounded as PyTorch's lerp.
template <class C>
NORCH_STEP C lerp(C a, C b, C w) {
  return w < C(0.5) ? multiply_add(w, b - a, a) : multiply_add(w - C(1), b - a, b);
}

template <class C, bool Momentum>
struct SgdStep {
  static constexpr int states = Momentum ? 1 : 0;
  C lr, momentum, undamped, weight_decay;
  bool nesterov, maximize;
  explicit SgdStep(const optim::SgdOptions& o)
      : lr(static_cast<C>(o.lr())),
        momentum(static_cast<C>(o.momentum())),
        undamped(static_cast<C>(1 - o.dampening())),
        weight_decay(static_cast<C>(o.weight_decay())),
        nesterov(o.nesterov()),
        maximize(o.maximize()) {}
  NORCH_STEP C gradient(C p, C g) const {
    g = maximize ? -g : g;
    return weight_decay != C(0) ? multiply_add(weight_decay, p, g) : g;
  }
  NORCH_STEP void operator()(const PerTensor<C>&, C& p, C g) const { p = multiply_add(-lr, gradient(p, g), p); }
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& v) const {
    g = gradient(p, g);
    v = t.first ? g : multiply_add(undamped, g, v * momentum);
    p = multiply_add(-lr, nesterov ? multiply_add(momentum, v, g) : v, p);
  }
};

template <class C, bool Amsgrad>
struct AdamStep {
  static constexpr int states = Amsgrad ? 3 : 2;
  C beta2, one_minus_beta1, one_minus_beta2, eps;
  C weight_decay, keep;  // the coupled decay (or 0), and what the decoupled one leaves (or 1)
  bool maximize;
  explicit AdamStep(const optim::AdamOptions& o)
      : beta2(static_cast<C>(o.beta2())),
        one_minus_beta1(static_cast<C>(1 - o.beta1())),
        one_minus_beta2(static_cast<C>(1 - o.beta2())),
        eps(static_cast<C>(o.eps())),
        weight_decay(static_cast<C>(o.decoupled() ? 0 : o.weight_decay())),
        keep(static_cast<C>(o.decoupled() ? 1 - o.lr() * o.weight_decay() : 1)),
        maximize(o.maximize()) {}
  NORCH_STEP void moments(C& p, C g, C& m, C& v) const {
    g = maximize ? -g : g;
    p = p * keep;
    g = weight_decay != C(0) ? multiply_add(weight_decay, p, g) : g;
    m = lerp(m, g, one_minus_beta1);
    v = multiply_add(one_minus_beta2 * g, g, v * beta2);
  }
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& m, C& v) const {
    moments(p, g, m, v);
    p = p - t.a * m / (std::sqrt(v) / t.b + eps);
  }
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& m, C& v, C& greatest) const {
    moments(p, g, m, v);
    greatest = v > greatest || v != v ? v : greatest;
    p = p - t.a * m / (std::sqrt(greatest) / t.b + eps);
  }
};

template <class C, bool Centered, bool Momentum>
struct RmspropStep {
  static constexpr int states = 1 + Centered + Momentum;
  C lr, alpha, one_minus_alpha, eps, weight_decay, momentum;
  bool maximize;
  explicit RmspropStep(const optim::RmspropOptions& o)
      : lr(static_cast<C>(o.lr())),
        alpha(static_cast<C>(o.alpha())),
        one_minus_alpha(static_cast<C>(1 - o.alpha())),
        eps(static_cast<C>(o.eps())),
        weight_decay(static_cast<C>(o.weight_decay())),
        momentum(static_cast<C>(o.momentum())),
        maximize(o.maximize()) {}
  NORCH_STEP C gradient(C p, C g) const {
    g = maximize ? -g : g;
    return weight_decay != C(0) ? multiply_add(weight_decay, p, g) : g;
  }
  NORCH_STEP void operator()(const PerTensor<C>&, C& p, C g, C& square) const {
    g = gradient(p, g);
    square = multiply_add(one_minus_alpha * g, g, square * alpha);
    p = p - lr * g / (std::sqrt(square) + eps);
  }
  /// `other` is the mean gradient if centered, the momentum buffer otherwise.
  NORCH_STEP void operator()(const PerTensor<C>&, C& p, C g, C& square, C& other) const {
    g = gradient(p, g);
    square = multiply_add(one_minus_alpha * g, g, square * alpha);
    if (Centered) {
      other = lerp(other, g, one_minus_alpha);
      p = p - lr * g / (std::sqrt(multiply_add(-other, other, square)) + eps);
    } else {
      other = other * momentum + g / (std::sqrt(square) + eps);
      p = multiply_add(-lr, other, p);
    }
  }
  NORCH_STEP void operator()(const PerTensor<C>&, C& p, C g, C& square, C& mean, C& buffer) const {
    g = gradient(p, g);
    square = multiply_add(one_minus_alpha * g, g, square * alpha);
    mean = lerp(mean, g, one_minus_alpha);
    buffer = buffer * momentum + g / (std::sqrt(multiply_add(-mean, mean, square)) + eps);
    p = multiply_add(-lr, buffer, p);
  }
};

/// Calls run(step, tag) with the step's functor for the options and dtype.
template <class Run>
void visit_sgd(DType dtype, const optim::SgdOptions& o, Run&& run) {
  visit_float("sgd_step", dtype, [&](auto tag) {
    using C = ComputeType<typename decltype(tag)::type>;
    if (o.momentum() != 0)
      run(SgdStep<C, true>(o), tag);
    else
      run(SgdStep<C, false>(o), tag);
  });
}
template <class Run>
void visit_adam(DType dtype, const optim::AdamOptions& o, Run&& run) {
  visit_float("adam_step", dtype, [&](auto tag) {
    using C = ComputeType<typename decltype(tag)::type>;
    if (o.amsgrad())
      run(AdamStep<C, true>(o), tag);
    else
      run(AdamStep<C, false>(o), tag);
  });
}
template <class Run>
void visit_rmsprop(DType dtype, const optim::RmspropOptions& o, Run&& run) {
  visit_float("rmsprop_step", dtype, [&](auto tag) {
    using C = ComputeType<typename decltype(tag)::type>;
    if (o.centered() && o.momentum() != 0)
      run(RmspropStep<C, true, true>(o), tag);
    else if (o.centered())
      run(RmspropStep<C, true, false>(o), tag);
    else if (o.momentum() != 0)
      run(RmspropStep<C, false, true>(o), tag);
    else
      run(RmspropStep<C, false, false>(o), tag);
  });
}

NORCH_HD void next_scale(float* scale, int32_t* tracker, float found_inf, double growth, double backoff,
                         int64_t interval) {
  if (found_inf != 0) {
    *scale = static_cast<float>(*scale * backoff);
    *tracker = 0;
  } else if (*tracker + 1 >= interval) {
    const float grown = static_cast<float>(*scale * growth);
    if (grown <= 3.402823466e38f) *scale = grown;  // unless it would be infinite
    *tracker = 0;
  } else {
    ++*tracker;
  }
}

/// The contribution of x to a p-norm, before the root. `Kind`: 0 = count of nonzeros, 1 = |x|, 2 = x^2, 3 = |x|^p,
/// 4 = maximum.
enum class NormKind { Zero, One, Two, Power, Max };
inline NormKind norm_kind(double p) {
  if (std::isinf(p)) return NormKind::Max;
  return p == 0 ? NormKind::Zero : p == 1 ? NormKind::One : p == 2 ? NormKind::Two : NormKind::Power;
}
template <NormKind K>
NORCH_HD double norm_term(double x, double p) {
  if constexpr (K == NormKind::Zero) return x != 0 ? 1.0 : 0.0;
  if constexpr (K == NormKind::Two) return x * x;
  const double a = x < 0 ? -x : x;
  if constexpr (K == NormKind::Power) return std::pow(a, p);
  return a;
}
template <NormKind K>
NORCH_HD double norm_join(double a, double b) {
  if constexpr (K == NormKind::Max) return a > b || a != a ? a : b;
  return a + b;
}
template <class Run>
void visit_norm(double p, Run&& run) {
  switch (norm_kind(p)) {
    case NormKind::Zero: return run(std::integral_constant<NormKind, NormKind::Zero>{});
    case NormKind::One: return run(std::integral_constant<NormKind, NormKind::One>{});
    case NormKind::Two: return run(std::integral_constant<NormKind, NormKind::Two>{});
    case NormKind::Power: return run(std::integral_constant<NormKind, NormKind::Power>{});
    case NormKind::Max: return run(std::integral_constant<NormKind, NormKind::Max>{});
  }
}
/// The norm and clipping coefficient from the joined terms.
NORCH_HD void finish_norm(double joined, double p, double max_norm, double* result) {
  const bool plain = p == 0 || p == 1 || p > 1e308 || p < -1e308;
  const double norm = p == 2 ? std::sqrt(joined) : plain ? joined : std::pow(joined, 1 / p);
  const double coefficient = max_norm / (norm + 1e-6);
  result[0] = norm;
  result[1] = coefficient < 1 || coefficient != coefficient ? coefficient : 1.0;
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
