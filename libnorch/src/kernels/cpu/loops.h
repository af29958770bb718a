// Walking over a Plan on the CPU.
//
// A kernel is an inner loop: a function over n elements of each operand, given pointers and byte strides. for_each
// (compiled once) calls it for every row of the plan, on several threads for large plans.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/plan.h"

namespace norch::kernels::cpu {

using Loop = void (*)(char* const* data, const int64_t* strides, int64_t n, const void* context);

/// Elements worth waking a thread for, for cheap arithmetic.
inline constexpr int64_t kGrain = 32768;

void for_each(const Plan& plan, Loop loop, const void* context, int64_t grain = kGrain);

}  // namespace norch::kernels::cpu
