// Matrix products.
#pragma once

#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// One operand of a batch of products: element (i, j) of matrix number b is data[b * batch + i * row + j * col].
struct MatrixRef {
  const void* data = nullptr;
  int64_t row = 0, col = 0, batch = 0;  // in elements
};

/// Whether the rows, or the columns, of a matrix are adjacent and lie apart: what a BLAS takes as it is.
inline bool blas_friendly(const MatrixRef& x, int64_t rows, int64_t cols) {
  return ((x.col == 1 || cols == 1) && (x.row >= cols || rows == 1)) ||
         ((x.row == 1 || rows == 1) && (x.col >= rows || cols == 1));
}

/// C = alpha * A B + beta * C + bias, for each matrix of a batch: A is m x k, B is k x n, all of one dtype, or, on CUDA
/// and without a bias, A and B of a 16-bit float dtype and C of float32. A transposed or row-strided matrix costs
/// nothing extra; float matrices are to be blas_friendly. Columns of C are adjacent.
struct Gemm {
  DType dtype = DType::Float32;
  bool wide_c = false;  // C is of float32, A and B of 16-bit floats
  int64_t batch = 1, m = 0, n = 0, k = 0;
  MatrixRef a, b;
  void* c = nullptr;
  int64_t c_row = 0, c_batch = 0;
  const void* bias = nullptr;  // n adjacent numbers, added to every row of C; only with beta == 0
  Scalar alpha = 1, beta = 0;  // with beta == 0, C is not read
};

/// Floats accumulate in float32 (float64 in its own) and round once; integers wrap around. The order of summation
/// depends on the shapes and strides alone.
NORCH_KERNEL(gemm, void(const Gemm& g))

}  // namespace norch::kernels
