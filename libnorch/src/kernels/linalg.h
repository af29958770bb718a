// Factorisations of batches of matrices: LAPACK on the CPU, cuSOLVER and cuBLAS on CUDA.
//
// Matrices lie column by column, one after another: a batch (..., m, n) has strides (..., 1, m), as
// linalg::detail::new_columns makes it. Vectors (singular values, pivots, ...) are contiguous. `info` is int32 with one
// number per matrix: 0, or what LAPACK says went wrong. Pivots are int32 and count from 1, as LAPACK's. No tensor is
// empty.
#pragma once

#include "kernels/plain_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// a = its Cholesky factor in the lower (upper) triangle; the other triangle keeps what it held.
NORCH_PLAIN_KERNEL(cholesky, void(const Tensor& a, const Tensor& info, bool upper))
/// a = its factors L (unit diagonal left out) and U; rows i and pivots[i] were swapped, in turn, unless `pivot` is
/// false (then `pivots` is 1, 2, ...; CUDA only).
NORCH_PLAIN_KERNEL(lu, void(const Tensor& a, const Tensor& pivots, const Tensor& info, bool pivot))
/// The permutation (int64) that the swaps amount to: row i of the swapped matrix was row order[i].
NORCH_PLAIN_KERNEL(lu_order, void(const Tensor& order, const Tensor& pivots))
/// a = R above, and the Householder vectors below, the diagonal; tau their scales.
NORCH_PLAIN_KERNEL(qr, void(const Tensor& a, const Tensor& tau))
/// b = the solution x of op(a) x = b, or of x op(a) = b unless `left`, where op transposes ('T') or takes the adjoint
/// ('C'). Only the lower (upper) triangle of a is read, and with `unit` not its diagonal.
NORCH_PLAIN_KERNEL(solve_triangular, void(const Tensor& a, const Tensor& b, bool left, bool upper, char op, bool unit))
/// Bunch and Kaufman's factors of a symmetric (Hermitian) matrix from its lower triangle.
NORCH_PLAIN_KERNEL(ldl, void(const Tensor& a, const Tensor& pivots, const Tensor& info, bool hermitian))
/// b = the solution for the factors of ldl.
NORCH_PLAIN_KERNEL(ldl_solve, void(const Tensor& a, const Tensor& pivots, const Tensor& b, bool hermitian))
/// Singular values, largest first, and vectors: u (m, k or m) and vh (k or n, n), both undefined if not wanted.
/// Overwrites a. info is -4 for a matrix with NaN or infinity.
NORCH_PLAIN_KERNEL(svd, void(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info))
/// Eigenvalues w in ascending order from the lower (upper) triangle; a = the eigenvectors, or garbage without `vectors`.
/// NaN or infinity in that triangle make all results NaN.
NORCH_PLAIN_KERNEL(eigh, void(const Tensor& a, const Tensor& w, const Tensor& info, bool vectors, bool upper))
/// Complex eigenvalues w and vectors v (undefined if not wanted) of a general matrix. Overwrites a, which holds no NaN and
/// no infinity.
NORCH_PLAIN_KERNEL(eig, void(const Tensor& a, const Tensor& w, const Tensor& v, const Tensor& info))

}  // namespace norch::kernels
