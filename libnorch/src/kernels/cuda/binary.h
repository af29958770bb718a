// The parts of the binary kernel that binary.cu hands on.
#pragma once

#include "kernels/binary.h"

namespace norch::kernels::cuda {

void binary_compare(BinaryOp op, const Plan& plan);
void binary_math(BinaryOp op, const Plan& plan);

}  // namespace norch::kernels::cuda
