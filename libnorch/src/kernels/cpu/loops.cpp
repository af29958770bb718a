#include "kernels/cpu/loops.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu {

namespace {

/// Runs elements [begin, end) of the plan in its own order: whole rows along dim 0, clipped at both ends.
void run_range(const Plan& p, Loop loop, const void* context, int64_t begin, int64_t end) {
  int64_t index[Plan::kMaxDims];
  char* data[Plan::kMaxOperands];
  int64_t strides[Plan::kMaxOperands];
  for (int k = 0; k < p.operands; ++k) {
    data[k] = p.data[k];
    strides[k] = p.strides[k][0];
  }
  int64_t rest = begin;
  for (int d = 0; d < p.ndim; ++d) {
    index[d] = rest % p.shape[d];
    rest /= p.shape[d];
    for (int k = 0; k < p.operands; ++k) data[k] += index[d] * p.strides[k][d];
  }
  while (begin < end) {
    const int64_t n = std::min(p.shape[0] - index[0], end - begin);
    loop(data, strides, n, context);
    begin += n;
    if (begin == end) return;
    // On to the next row: back to the start of dim 0, then carry.
    for (int k = 0; k < p.operands; ++k) data[k] -= index[0] * p.strides[k][0];
    index[0] = 0;
    for (int d = 1; d < p.ndim; ++d) {
      for (int k = 0; k < p.operands; ++k) data[k] += p.strides[k][d];
      if (++index[d] < p.shape[d]) break;
      for (int k = 0; k < p.operands; ++k) data[k] -= p.shape[d] * p.strides[k][d];
      index[d] = 0;
    }
  }
}

}  // namespace

void for_each(const Plan& plan, Loop loop, const void* context, int64_t grain) {
  if (plan.numel == 0) return;
  if (plan.numel <= grain && plan.ndim == 1) {
    int64_t strides[Plan::kMaxOperands];
    for (int k = 0; k < plan.operands; ++k) strides[k] = plan.strides[k][0];
    loop(plan.data, strides, plan.numel, context);
    return;
  }
  parallel_for(plan.numel, grain,
               [&](int64_t begin, int64_t end) { run_range(plan, loop, context, begin, end); });
}

}  // namespace norch::kernels::cpu
