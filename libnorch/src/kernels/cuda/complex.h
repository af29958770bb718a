// The parts of unary_complex, each in a file of its own: they are long to compile.
#pragma once

#include "kernels/complex.h"

namespace norch::kernels::cuda {

void complex_inverse(UnaryOp op, const Plan& plan);
void complex_periodic(UnaryOp op, const Plan& plan);

}  // namespace norch::kernels::cuda
