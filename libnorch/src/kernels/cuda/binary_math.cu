#include "kernels/cuda/binary.h"
#include "kernels/cuda/float_math.cuh"
#include "kernels/cuda/functors.cuh"

namespace norch::kernels::cuda {

void binary_math(BinaryOp op, const Plan& plan) {
  switch (op) {
#define NORCH_CASE(name)                                       \
  case BinaryOp::name:                                         \
    return visit_number_class(#name, plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;                  \
      apply<T, T, T>(plan, typename OnGpu<name>::type{});      \
    });
    NORCH_BINARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                     \
  case BinaryOp::name:                                       \
    return visit_float_class(#name, plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;                \
      apply<T, T, T>(plan, name{});                          \
    });
    NORCH_BINARY_FLOAT(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                        \
  case BinaryOp::name:                                          \
    return visit_integral(#name, plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;                   \
      apply<T, T, T>(plan, name{});                             \
    });
    NORCH_BINARY_BITS(NORCH_CASE)
#undef NORCH_CASE
    default: return;
  }
}

}  // namespace norch::kernels::cuda
