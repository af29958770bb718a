// The arithmetic ops; binary_math.cu and binary_compare.cu hold the rest, so that each compiles in bearable time.
#include "kernels/binary.h"

#include "kernels/cuda/binary.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

template <class F>
void scaled(const Plan& plan, const F& f, const Scalar& alpha, bool negate) {
  visit_all(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C factor = alpha.to<C>();
    if (factor == C(1)) return elementwise<T, T, T>(plan, f);
    elementwise<T, T, T>(plan, AddScaled<C>(negate ? wrapping_sub(C(0), factor) : factor));
  });
}

}  // namespace

void binary(BinaryOp op, const Plan& plan, const Scalar& alpha) {
  switch (op) {
#define NORCH_CASE(name)                            \
  case BinaryOp::name:                              \
    return visit_all(plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;       \
      elementwise<T, T, T>(plan, name{});           \
    });
    NORCH_BINARY_ANY(NORCH_CASE)
#undef NORCH_CASE
    case BinaryOp::Add: return scaled(plan, Add{}, alpha, false);
    case BinaryOp::Sub: return scaled(plan, Sub{}, alpha, true);
    default: break;
  }
  if (is_comparison(op))
    binary_compare(op, plan);
  else
    binary_math(op, plan);
}

}  // namespace norch::kernels::cuda
