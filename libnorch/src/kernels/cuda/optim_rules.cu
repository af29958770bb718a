#include "kernels/optim_rules.h"

#include "kernels/cuda/optim_update.cuh"

namespace norch::kernels::cuda {

void rule_step(DType dtype, const OptimTensors& list, const optim::Rule& rule) {
  visit_rule(dtype, rule,
             [&](const auto& f, auto tag) { optim_update::update_all<typename decltype(tag)::type>(list, f); });
}

}  // namespace norch::kernels::cuda
