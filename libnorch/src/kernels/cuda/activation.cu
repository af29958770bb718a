#include "kernels/activation.h"

#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

void activation(Activation f, const Plan& plan, const Parameters& p) {
  visit_float_class("activation", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (f) {
#define NORCH_CASE(name) \
  case Activation::name: return elementwise<T, T>(plan, ValueOf<name>{name(p)});
      NORCH_ACTIVATIONS(NORCH_CASE)
#undef NORCH_CASE
    }
  });
}

void activation_backward(Activation f, const Plan& plan, const Parameters& p) {
  visit_float_class("activation_backward", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (f) {
#define NORCH_CASE(name) \
  case Activation::name: return elementwise<T, T, T>(plan, GradientOf<name>{name(p)});
      NORCH_ACTIVATIONS(NORCH_CASE)
#undef NORCH_CASE
    }
  });
}

}  // namespace norch::kernels::cuda
