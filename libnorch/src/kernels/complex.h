// Kernels of complex64 and complex128: elementwise maths and matrix products.
#pragma once

#include "kernels/binary.h"
#include "kernels/gemm.h"
#include "kernels/plain_kernel.h"
#include "kernels/unary.h"

namespace norch::kernels {

/// As `unary`, for complex x. \throws NotImplementedError, naming `op_name`, for an op that complex numbers lack.
NORCH_PLAIN_KERNEL(unary_complex, void(const char* op_name, UnaryOp op, const Plan& plan))
/// As `binary`, for complex a and b.
NORCH_PLAIN_KERNEL(binary_complex, void(const char* op_name, BinaryOp op, const Plan& plan, const Scalar& alpha))
/// As `gemm`, for complex matrices.
NORCH_PLAIN_KERNEL(gemm_complex, void(const Gemm& g))

}  // namespace norch::kernels
