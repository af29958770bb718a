// The part of the unary kernel that unary.cu hands on.
#pragma once

#include "kernels/unary.h"

namespace norch::kernels::cuda {

void unary_tests(UnaryOp op, const Plan& plan);

}  // namespace norch::kernels::cuda
