#include "kernels/cpu/vector_math.h"

#include "kernels/activation.h"
#include "kernels/cpu/blocks.h"

namespace norch::kernels::cpu::NORCH_ISA {

// The 16-bit types are computed as float, so that there are two loops for each function.

void activation(Activation f, const Plan& plan, const Parameters& p) {
  const bool wide = plan.dtype[0] == DType::Float64;
  switch (f) {
#define NORCH_CASE(name)                                                                             \
  case Activation::name: {                                                                           \
    using F = ValueOf<name>;                                                                         \
    return run_blocks(plan, wide ? block1<F, double, double> : block1<F, float, float>, F{name(p)}); \
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
