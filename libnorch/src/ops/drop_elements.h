// Dropout by numbers that can be drawn again.
#pragma once

#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch {

/// Element i, in row-major order, is 0 if `state` drops number first + i with probability p, and divided by 1 - p
/// otherwise. Linear: its backward is the same op.
Tensor drop_elements(const Tensor& input, PhiloxState state, double p, int64_t first = 0);

}  // namespace norch
