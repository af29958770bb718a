// Copying with a change of dtype or strides, and filling.
#pragma once

#include "kernels/kernel.h"
#include "kernels/plan.h"

namespace norch::kernels {

/// dst = src, converted, over a plan of operands {dst, src} on one device.
NORCH_KERNEL(copy, void(const Plan& plan))
/// Every element of operand 0 becomes `value`, converted.
NORCH_KERNEL(fill, void(const Plan& plan, const Scalar& value))

}  // namespace norch::kernels
