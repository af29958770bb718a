#include "kernels/cuda/functors.cuh"
#include "kernels/cuda/unary.h"

namespace norch::kernels::cuda {

void unary_tests(UnaryOp op, const Plan& plan) {
  visit_any_class(plan.dtype[1], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
#define NORCH_CASE(name) \
  case UnaryOp::name: return apply<bool, T>(plan, name{});
      NORCH_UNARY_TEST(NORCH_CASE)
#undef NORCH_CASE
      default: return;
    }
  });
}

}  // namespace norch::kernels::cuda
