#include "kernels/optim_rules.h"

#include "kernels/cpu/optim_update.h"

namespace norch::kernels::cpu::NORCH_ISA {

void rule_step(DType dtype, const OptimTensors& list, const optim::Rule& rule) {
  visit_rule(dtype, rule, [&](const auto& f, auto tag) { update_all<typename decltype(tag)::type>(list, f); });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
