#include "kernels/unsigned.h"

#include "kernels/cpu/blocks.h"

namespace norch::kernels::cpu {

void binary_unsigned(const char* op_name, BinaryOp op, const Plan& plan) {
  visit_unsigned(op_name, plan.dtype[1], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
#define NORCH_CASE(name) \
  case BinaryOp::name:   \
    return NORCH_ISA::run_blocks(plan, NORCH_ISA::block2<name, T, T>, name{}, NORCH_ISA::takes_repeats<name>);
      NORCH_UNSIGNED_ARITHMETIC(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case BinaryOp::name:   \
    return NORCH_ISA::run_blocks(plan, NORCH_ISA::block2<name, bool, T>, name{}, NORCH_ISA::takes_repeats<name>);
      NORCH_UNSIGNED_COMPARE(NORCH_CASE)
#undef NORCH_CASE
      default: no_unsigned_op(op_name, plan.dtype[1]);
    }
  });
}

}  // namespace norch::kernels::cpu
