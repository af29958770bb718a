#include "kernels/unsigned.h"

#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

void binary_unsigned(const char* op_name, BinaryOp op, const Plan& plan) {
  visit_unsigned(op_name, plan.dtype[1], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
#define NORCH_CASE(name) \
  case BinaryOp::name: return elementwise<T, T, T>(plan, name{});
      NORCH_UNSIGNED_ARITHMETIC(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case BinaryOp::name: return elementwise<bool, T, T>(plan, name{});
      NORCH_UNSIGNED_COMPARE(NORCH_CASE)
#undef NORCH_CASE
      default: no_unsigned_op(op_name, plan.dtype[1]);
    }
  });
}

}  // namespace norch::kernels::cuda
