#include "kernels/ternary.h"

#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

/// Elements are only moved, whatever their type.
struct Select {
  template <class T>
  __device__ T operator()(uint8_t condition, T a, T b) const {
    return condition ? a : b;
  }
};

}  // namespace

void ternary(TernaryOp op, const Plan& plan, const Scalar& value) {
  switch (op) {
#define NORCH_CASE(name)                                          \
  case TernaryOp::name:                                           \
    return visit_number_class(#name, plan.dtype[0], [&](auto tag) {    \
      using T = typename decltype(tag)::type;                     \
      elementwise<T, T, T, T>(plan, name<ComputeType<T>>(value)); \
    });
    NORCH_TERNARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                          \
  case TernaryOp::name:                                           \
    return visit_float_class(#name, plan.dtype[0], [&](auto tag) {      \
      using T = typename decltype(tag)::type;                     \
      elementwise<T, T, T, T>(plan, name<ComputeType<T>>(value)); \
    });
    NORCH_TERNARY_FLOAT(NORCH_CASE)
#undef NORCH_CASE
  }
}

void select(const Plan& plan) {
  visit_width(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    elementwise<T, uint8_t, T, T>(plan, Select{});
  });
}

}  // namespace norch::kernels::cuda
