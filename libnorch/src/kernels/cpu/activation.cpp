#include "kernels/cpu/vector_math.h"

#include "kernels/activation.h"
#include "kernels/cpu/blocks.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// A block function of Elu: stretches above zero, of which activations have many, are spared the exponential.
template <class T>
void elu_block(char* const* data, int64_t n, uint32_t, const void* context) {
  const Elu f = static_cast<const ValueOf<Elu>*>(context)->f;
  T* out = reinterpret_cast<T*>(data[0]);
  const T* in = reinterpret_cast<const T*>(data[1]);
  constexpr int64_t kStretch = 64;
  for (int64_t at = 0; at < n; at += kStretch) {
    const int64_t count = std::min(kStretch, n - at) & -kLane;
    const T* x = in + at;
    int below = 0;
#pragma omp simd reduction(| : below)
    for (int64_t i = 0; i < count; ++i) below |= f.above(x[i]) ? 0 : 1;
    if (below) {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[at + i] = f.value(x[i]);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[at + i] = f.value_above(x[i]);
    }
  }
}

/// The block function of an activation.
template <class F, class T>
constexpr Block value_block() {
  if constexpr (std::is_same_v<F, ValueOf<Elu>>)
    return elu_block<T>;
  else
    return block1<F, T, T>;
}

}  // namespace

// The 16-bit types are computed as float, so that there are two loops for each function.

void activation(Activation f, const Plan& plan, const Parameters& p) {
  const bool wide = plan.dtype[0] == DType::Float64;
  switch (f) {
#define NORCH_CASE(name)                                                                             \
  case Activation::name: {                                                                           \
    using F = ValueOf<name>;                                                                         \
    return run_blocks(plan, wide ? value_block<F, double>() : value_block<F, float>(), F{name(p)});   \
  }
    NORCH_ACTIVATIONS(NORCH_CASE)
#undef NORCH_CASE
  }
}

void activation_backward(Activation f, const Plan& plan, const Parameters& p) {
  const bool wide = plan.dtype[0] == DType::Float64;
  switch (f) {
#define NORCH_CASE(name)                                                                             \
  case Activation::name: {                                                                           \
    using F = GradientOf<name>;                                                                      \
    return run_blocks(plan, wide ? block2<F, double, double> : block2<F, float, float>, F{name(p)}); \
  }
    NORCH_ACTIVATIONS(NORCH_CASE)
#undef NORCH_CASE
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
