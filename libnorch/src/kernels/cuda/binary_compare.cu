#include "kernels/cuda/binary.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

void binary_compare(BinaryOp op, const Plan& plan) {
  visit_any_class(plan.dtype[1], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
#define NORCH_CASE(name) \
  case BinaryOp::name: return elementwise<bool, T, T>(plan, name{});
      NORCH_BINARY_COMPARE(NORCH_CASE)
#undef NORCH_CASE
      default: return;
    }
  });
}

}  // namespace norch::kernels::cuda
