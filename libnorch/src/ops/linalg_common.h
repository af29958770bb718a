// What the files of linear algebra share: checks, the layout that kernels want, errors of factorisations.
#pragma once

#include "norch/ops/linalg.h"
#include "norch/tensor.h"

namespace norch::linalg::detail {

/// \throws Error unless `a` is float32, float64 or complex ...
void check_float(const char* op, const Tensor& a);
/// ... and has at least two dims, each of a size that LAPACK can count ...
void check_matrix(const char* op, const Tensor& a, const char* name = "A");
/// ... of which the last two are equal.
void check_square(const char* op, const Tensor& a, const char* name = "A");
/// Whether `b` is a batch of vectors: 1-d, or of a's shape without its last dim.
bool is_vector(const Tensor& a, const Tensor& b);
/// \throws Error unless both have one dtype and one device.
void check_alike(const char* op, const Tensor& a, const char* name_a, const Tensor& b, const char* name_b);

/// The dims before the last two.
inline Ints batch_of(const Tensor& t) { return t.sizes().slice(0, t.sizes().size() - 2); }
/// batch + tail.
Shape joined(Ints batch, Ints tail);

/// A new batch of matrices, column by column as the kernels want them.
Tensor new_columns(Ints sizes, DType dtype, Device device);
/// A copy of `t` in that layout, without history; `batch` is what its dims before the last two are expanded to.
Tensor copy_columns(const Tensor& t, Ints batch);
inline Tensor copy_columns(const Tensor& t) { return copy_columns(t, batch_of(t)); }
/// The same for memory that is only read: `t` itself where it lies that way already.
Tensor as_columns(const Tensor& t, Ints batch);
inline Tensor as_columns(const Tensor& t) { return as_columns(t, batch_of(t)); }

/// (n, n) with ones on the diagonal, like `t` in dtype and device.
Tensor identity_like(const Tensor& t, int64_t n);
/// The diagonal of the last two dims.
Tensor diagonal_of(const Tensor& t);
/// The machine epsilon of a dtype.
double epsilon_of(DType t);

/// What a positive `info` means.
enum class Failure { Singular, Solve, Cholesky, Svd, Eigen, ZeroPivot, RankDeficient };
/// \throws LinAlgError, naming the first matrix for which `info` is not 0. Waits for the device.
void check_info(const char* op, const Tensor& info, Failure failure);

/// op(A) X = B (or X op(A) = B unless `left`) for triangular A: op is 'N' or, for the adjoint, 'C'. Recorded. Batches
/// broadcast; shapes must have been checked.
Tensor triangular(const Tensor& a, const Tensor& b, bool left, bool upper, char op = 'N', bool unit = false);
/// int64 (..., m): row i of the matrix with its rows swapped is row order[i] of the original.
Tensor row_order(const Tensor& pivots, int64_t m);
/// The factors of A without history, and info.
LUFactor lu_of(const char* op, const Tensor& a, bool pivot = true);
/// The gradient of the pseudoinverse `p` of `a`.
Tensor pinv_gradient(const Tensor& grad, const Tensor& p, const Tensor& a);
/// The largest of atol and rtol * largest, for the tolerances of a (..., m, n) matrix as a user gave them.
Tensor tolerance(const char* op, const Tensor& a, const Tensor& largest, const Tensor& atol, const Tensor& rtol);

}  // namespace norch::linalg::detail
