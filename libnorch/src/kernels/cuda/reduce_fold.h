// Sums, products and extrema of elements, or of simple functions of them.
#pragma once

#include "kernels/reduce.h"

namespace norch::kernels::cuda {

/// What is done to an element first; all but None for floats only. Number: NaN becomes 0.
enum class Transform : uint8_t { None, Number, Magnitude, Square, Power };

/// As the kernel `reduce`, of transformed elements (Power: to the power args.p).
void fold(ReduceOp op, Transform transform, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args);

}  // namespace norch::kernels::cuda
