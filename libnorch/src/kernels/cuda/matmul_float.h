// Products of float32 matrices by a kernel of norch's own (matmul_float_sm90a.cuh).
#pragma once

#include "kernels/gemm.h"

namespace norch::kernels::cuda {

/// Computes `g`, of float32, to float32's accuracy on the tensor cores. False, and C is as it was, where this is not a GPU
/// of compute capability 9.0, where the matrices don't lie as the kernel takes them (16-byte aligned rows or columns), and
/// where cuBLASLt is as fast: for small products.
bool matmul_float_sm90a(const Gemm& g);
/// The same of a product of any size.
bool matmul_float_sm90a_of_any_size(const Gemm& g);

}  // namespace norch::kernels::cuda
