// Linear algebra: norch::linalg has the functions of torch.linalg, norch those that PyTorch has beside them.
//
// Matrices are the last two dims of a tensor (..., m, n); all dims before them are a batch, and every matrix of it is
// worked on by itself. k = min(m, n). Matrices are float32, float64, complex64 or complex128 (\throws Error for other
// dtypes) and what comes out has the dtype that went in, but for what is real by nature (singular values, norms, ...). A^H
// is the conjugate transpose; "symmetric" means Hermitian for complex matrices. On the CPU LAPACK does the work, one
// thread for a matrix, so that results do not depend on the number of threads; on CUDA cuSOLVER and cuBLAS.
//
// What ends in `_ex` returns `info` (int32, one number per matrix: 0 if all went well) in place of raising, unless
// `check_errors`; the other forms raise LinAlgError, which names the first bad matrix of the batch. To do so they wait
// for the device. All functions can be differentiated as often as wanted, but for those said not to be.
//
//   norch::Tensor a = norch::randn({3, 3}), b = norch::randn({3});
//   norch::Tensor x = norch::linalg::solve(a, b);
#pragma once

#include <optional>
#include <string>

#include "norch/error.h"
#include "norch/tensor.h"

namespace norch::linalg {

/// A matrix for which there is no result: singular, not positive-definite, no convergence (Python:
/// norch.linalg.LinAlgError, a RuntimeError).
class NORCH_API LinAlgError : public Error {
 public:
  using Error::Error;
};

// ---- results of several tensors

struct SlogDet {
  Tensor sign, logabsdet;
};
struct WithInfo {
  Tensor result, info;
};
struct LUFactor {
  Tensor lu, pivots, info;  // pivots: int32 (..., k), rows i and pivots[i] - 1 were swapped
};
struct PLU {
  Tensor p, l, u;
};
struct QR {
  Tensor q, r;
};
struct SVD {
  Tensor u, s, vh;
};
struct Eigen {
  Tensor values, vectors;
};
struct LDLFactor {
  Tensor ld, pivots, info;
};
struct LeastSquares {
  Tensor solution, residuals, rank, singular_values;
};

// ---- solving

/// X with A X = B for square A (..., n, n), or X A = B unless `left`. B is (..., n, k), or a vector (..., n) if it is 1-d
/// or has the shape of A without its last dim. Batches broadcast. By LU factors.
NORCH_API Tensor solve(const Tensor& a, const Tensor& b, bool left = true);
NORCH_API WithInfo solve_ex(const Tensor& a, const Tensor& b, bool left = true, bool check_errors = false);
/// As solve for triangular A, of which only that triangle is read (with `unitriangular` its diagonal counts as ones).
NORCH_API Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left = true,
                                  bool unitriangular = false);
/// The inverse of a square matrix.
NORCH_API Tensor inv(const Tensor& a);
NORCH_API WithInfo inv_ex(const Tensor& a, bool check_errors = false);
/// The least |A X - B| for A (..., m, n) and B (..., m, k) or (..., m). `driver`: "gels" takes A to have full rank and
/// uses QR factors; "gelsy", "gelsd" and "gelss" find the shortest solution by singular values, of which those below
/// rcond times the largest count as 0 (default: epsilon * max(m, n)), and give the rank (int64); the last two give the
/// singular values too. residuals: the squared lengths (..., k) where m > n and all ranks are full. What is not computed
/// is empty. Gradients: of solution and residuals.
NORCH_API LeastSquares lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond = {},
                             const std::optional<std::string>& driver = {});
/// The pseudoinverse (..., n, m); singular values (hermitian: absolute eigenvalues) up to max(atol, rtol * largest) count
/// as 0. Tolerances are numbers or one per matrix; by default atol is 0 and rtol, if atol is not positive, epsilon *
/// max(m, n).
NORCH_API Tensor pinv(const Tensor& a, const Tensor& atol = {}, const Tensor& rtol = {}, bool hermitian = false);
/// The X (shape of A's dims from `ind` on, then those before) that is A's inverse under tensordot.
NORCH_API Tensor tensorinv(const Tensor& a, int64_t ind = 2);
/// The X with tensordot(A, X, X.dim()) = B, after moving `dims` of A to its end.
NORCH_API Tensor tensorsolve(const Tensor& a, const Tensor& b, std::optional<Shape> dims = {});

// ---- factors

/// The lower (upper) triangular L with L L^H = A (L^H L = A) for symmetric positive-definite A, of which only that
/// triangle is read. The gradient is symmetric.
NORCH_API Tensor cholesky(const Tensor& a, bool upper = false);
NORCH_API WithInfo cholesky_ex(const Tensor& a, bool upper = false, bool check_errors = false);
/// L and U in one matrix, and the row swaps: A = P L U, with ones on the diagonal of L. Without `pivot` no rows are
/// swapped (CUDA only).
NORCH_API LUFactor lu_factor(const Tensor& a, bool pivot = true);
NORCH_API LUFactor lu_factor_ex(const Tensor& a, bool pivot = true, bool check_errors = false);
/// P (..., m, m), L (..., m, k) and U (..., k, n) with A = P L U. Without `pivot` P is empty.
NORCH_API PLU lu(const Tensor& a, bool pivot = true);
/// solve for the factors of lu_factor: A X = B or X A = B, or with A^H in place of A if `adjoint`.
NORCH_API Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left = true,
                          bool adjoint = false);
/// A = Q R with orthonormal columns in Q and upper triangular R. `mode`: "reduced" (Q is m x k), "complete" (m x m), "r"
/// (only R). Not differentiable in mode "r", nor "complete" where m > n.
NORCH_API QR qr(const Tensor& a, const std::string& mode = "reduced");
/// The first n columns of H_1 H_2 ... H_t, H_i = I - tau_i v_i v_i^H, where v_i is column i of A (..., m, n) below the
/// diagonal, with a one on it: Q from what geqrf returns. Its gradients come from the compact WY form.
NORCH_API Tensor householder_product(const Tensor& a, const Tensor& tau);
/// A = U diag(S) Vh with S in descending order; U is (..., m, k), Vh (..., k, n), or both square with `full_matrices`.
/// U and Vh are unique only up to signs, and up to rotations where singular values repeat: gradients are right for
/// functions that do not depend on those choices. `driver` (CUDA only): "gesvd", "gesvdj" or "gesvda".
NORCH_API SVD svd(const Tensor& a, bool full_matrices = true, const std::optional<std::string>& driver = {});
NORCH_API Tensor svdvals(const Tensor& a, const std::optional<std::string>& driver = {});
/// Eigenvalues in ascending order and eigenvectors (columns) of symmetric A, read from its lower ("L") or upper ("U")
/// triangle. Gradients as for svd.
NORCH_API Eigen eigh(const Tensor& a, const std::string& uplo = "L");
NORCH_API Tensor eigvalsh(const Tensor& a, const std::string& uplo = "L");
/// Eigenvalues, in no order, and eigenvectors (columns of length 1) of a square matrix; complex. \throws Error for NaN or
/// infinity. A function of the vectors that depends on their phases has no gradient and raises in backward.
NORCH_API Eigen eig(const Tensor& a);
NORCH_API Tensor eigvals(const Tensor& a);
/// Bunch and Kaufman's factors A = P L D L^T P^T of a symmetric (hermitian) matrix in LAPACK's form; without
/// `hermitian` a complex matrix is taken as symmetric. No gradients.
NORCH_API LDLFactor ldl_factor(const Tensor& a, bool hermitian = false);
NORCH_API LDLFactor ldl_factor_ex(const Tensor& a, bool hermitian = false, bool check_errors = false);
/// Solves A X = B for factors of ldl_factor. No gradients.
NORCH_API Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b, bool hermitian = false);

// ---- numbers that describe a matrix

/// The determinant, by LU factors. Its gradient is right for singular matrices too.
NORCH_API Tensor det(const Tensor& a);
/// Sign and logarithm of the absolute value of the determinant: 0 and -inf if it is 0.
NORCH_API SlogDet slogdet(const Tensor& a);
/// How many singular values (hermitian: absolute eigenvalues) exceed the tolerance, which is as in pinv; int64.
NORCH_API Tensor matrix_rank(const Tensor& a, const Tensor& atol = {}, const Tensor& rtol = {},
                             bool hermitian = false);
/// norm(A, p) * norm(inv(A), p) for p = inf, -inf, 1, -1, "fro" or "nuc"; largest / smallest singular value for 2 (or an
/// empty p), the reverse for -2. inf for singular A.
NORCH_API Tensor cond(const Tensor& a);
NORCH_API Tensor cond(const Tensor& a, const Scalar& p);
NORCH_API Tensor cond(const Tensor& a, const std::string& p);
/// Norm of the matrices in two dims: the largest (-: smallest) column sum of absolute values for ord = 1, row sum for
/// inf, singular value for 2.
NORCH_API Tensor matrix_norm(const Tensor& a, const Scalar& ord, Ints dims = {-2, -1}, bool keepdim = false,
                             std::optional<DType> dtype = {});
/// "fro": square root of the sum of squares. "nuc": sum of the singular values.
NORCH_API Tensor matrix_norm(const Tensor& a, const std::string& ord = "fro", Ints dims = {-2, -1},
                             bool keepdim = false, std::optional<DType> dtype = {});
/// vector_norm if `dims` has one dim or is absent and ord too (then of all elements, with ord 2), otherwise matrix_norm
/// for two dims.
NORCH_API Tensor norm(const Tensor& a, const std::optional<Scalar>& ord = {}, const std::optional<Shape>& dims = {},
                      bool keepdim = false, std::optional<DType> dtype = {});
NORCH_API Tensor norm(const Tensor& a, const std::string& ord, const std::optional<Shape>& dims = {},
                      bool keepdim = false, std::optional<DType> dtype = {});

// ---- functions of matrices

/// A multiplied by itself n times; inv(A) for negative n.
NORCH_API Tensor matrix_power(const Tensor& a, int64_t n);
/// I + A + A^2 / 2! + ..., by scaling and squaring of a Pade approximant (Higham 2005). Waits for the device.
NORCH_API Tensor matrix_exp(const Tensor& a);
/// sum(conj(x) * y) along a dim; the others broadcast.
NORCH_API Tensor vecdot(const Tensor& x, const Tensor& y, int64_t dim = -1);
/// (..., n) -> (..., n, N): the powers 0, 1, ..., N - 1 of each element; N is n unless given.
NORCH_API Tensor vander(const Tensor& x, std::optional<int64_t> n = {});
/// As norch::diagonal, for the last two dims by default.
NORCH_API Tensor diagonal(const Tensor& a, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);

}  // namespace norch::linalg

namespace norch {

/// log(det(A)): -inf if that is 0, NaN if it is negative.
NORCH_API Tensor logdet(const Tensor& a);
/// As linalg::cholesky.
NORCH_API Tensor cholesky(const Tensor& a, bool upper = false);
/// inv(L L^H) from the lower factor L, inv(U^H U) from the upper one.
NORCH_API Tensor cholesky_inverse(const Tensor& l, bool upper = false);
/// Solves A X = B given the Cholesky factor of A.
NORCH_API Tensor cholesky_solve(const Tensor& b, const Tensor& l, bool upper = false);
/// The Householder form of QR: R above, the vectors below the diagonal, and their scales tau (..., k). No gradients.
struct Reflectors {
  Tensor a, tau;
};
NORCH_API Reflectors geqrf(const Tensor& a);
/// Q C, or C Q unless `left`, with Q^H in place of Q if `transpose`; Q is the whole square product of the reflectors that
/// householder_product takes.
NORCH_API Tensor ormqr(const Tensor& a, const Tensor& tau, const Tensor& c, bool left = true, bool transpose = false);
/// linalg::qr in mode "reduced" or, unless `some`, "complete".
NORCH_API linalg::QR qr(const Tensor& a, bool some = true);
/// linalg::svd with V in place of Vh; zeros in place of U and V unless `compute_uv`.
NORCH_API linalg::SVD svd(const Tensor& a, bool some = true, bool compute_uv = true);
/// linalg::pinv with rtol = rcond.
NORCH_API Tensor pinverse(const Tensor& a, double rcond = 1e-15);
/// P, L, U from the factors of linalg::lu_factor; those not asked for are empty. Gradients: L and U to the factors.
NORCH_API linalg::PLU lu_unpack(const Tensor& lu, const Tensor& pivots, bool unpack_data = true,
                                bool unpack_pivots = true);
/// (X, A): op(A) X = B for triangular A; op transposes if `transpose`.
NORCH_API std::pair<Tensor, Tensor> triangular_solve(const Tensor& b, const Tensor& a, bool upper = true,
                                                     bool transpose = false, bool unitriangular = false);
/// An approximate (U, S, V) of rank q of A (minus M, if given): Halko et al. 2009, algorithm 5.1 with `niter` subspace
/// iterations. Draws from the default generator.
NORCH_API linalg::SVD svd_lowrank(const Tensor& a, int64_t q = 6, int64_t niter = 2, const Tensor& m = {});
/// The same for the principal components of the rows of A: its columns are centred first if `center`. q is 6 or less
/// unless given.
NORCH_API linalg::SVD pca_lowrank(const Tensor& a, std::optional<int64_t> q = {}, bool center = true,
                                  int64_t niter = 2);
/// The matrix of the powers 0 ... n - 1 of a 1-d tensor's elements, as columns in descending order unless `increasing`.
NORCH_API Tensor vander(const Tensor& x, std::optional<int64_t> n = {}, bool increasing = false);

}  // namespace norch
