// norch.linalg.
#include "norch/ops/linalg.h"

#include <nanobind/stl/variant.h>

#include "linalg_module.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"

namespace norch::python {

namespace {

using Tolerance = std::optional<Operand>;
using Order = std::variant<Scalar, std::string>;
using Dims = std::optional<Shape>;

Tensor or_none(const Tolerance& t) { return t ? t->tensor : Tensor(); }

void bind_solvers(Binder& b, nb::module_& m) {
  b.in(m, "solve", &linalg::solve,
       "solve(A, B, *, left=True, out=None) -> Tensor\n\nX with A X = B (X A = B unless `left`) for square A; B holds "
       "matrices or, if 1-d or of A's shape without its last dim, vectors. Raises LinAlgError for singular A.\n\n"
       ">>> norch.linalg.solve(norch.tensor([[2., 0.], [0., 4.]]), norch.tensor([2., 2.]))\ntensor([1.0000, 0.5000])",
       "A"_a, "B"_a, nb::kw_only(), "left"_a = true);
  b.in(
      m, "solve_ex",
      [type = named_type("linalg_solve_ex", {"result", "info"})](const Tensor& a, const Tensor& x, bool left, bool check) {
        linalg::WithInfo r = linalg::solve_ex(a, x, left, check);
        return NamedTensors{type, {r.result, r.info}};
      },
      "solve_ex(A, B, *, left=True, check_errors=False, out=None) -> (result, info)\n\nsolve that returns int32 codes, "
      "not 0 for singular matrices, in place of raising.",
      "A"_a, "B"_a, nb::kw_only(), "left"_a = true, "check_errors"_a = false);
  b.in(m, "solve_triangular", &linalg::solve_triangular,
       "solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None) -> Tensor\n\nsolve for triangular A, "
       "of which only that triangle is read; with `unitriangular` its diagonal counts as ones.",
       "A"_a, "B"_a, nb::kw_only(), "upper"_a, "left"_a = true, "unitriangular"_a = false);
  b.in(m, "inv", &linalg::inv,
       "inv(A, *, out=None) -> Tensor\n\nThe inverse of square matrices. Raises LinAlgError for singular ones.", "A"_a);
  b.in(
      m, "inv_ex",
      [type = named_type("linalg_inv_ex", {"inverse", "info"})](const Tensor& a, bool check) {
        linalg::WithInfo r = linalg::inv_ex(a, check);
        return NamedTensors{type, {r.result, r.info}};
      },
      "inv_ex(A, *, check_errors=False, out=None) -> (inverse, info)\n\ninv that returns int32 codes in place of raising.",
      "A"_a, nb::kw_only(), "check_errors"_a = false);
  b.in(
      m, "lstsq",
      [type = named_type("linalg_lstsq", {"solution", "residuals", "rank", "singular_values"})](
          const Tensor& a, const Tensor& y, std::optional<double> rcond, const std::optional<std::string>& driver) {
        linalg::LeastSquares r = linalg::lstsq(a, y, rcond, driver);
        return NamedTensors{type, {r.solution, r.residuals, r.rank, r.singular_values}};
      },
      "lstsq(input, b, rcond=None, *, driver=None, out=None) -> (solution, residuals, rank, singular_values)\n\nThe least "
      "|input X - b|. driver 'gels' takes input to have full rank (QR); 'gelsy', 'gelsd' and 'gelss' find the shortest "
      "solution, singular values up to rcond times the largest counting as 0. What was not computed is empty.",
      "input"_a, "b"_a, "rcond"_a = nb::none(), nb::kw_only(), "driver"_a = nb::none());
  b.in(m, "tensorinv", &linalg::tensorinv,
       "tensorinv(A, ind=2, *, out=None) -> Tensor\n\nThe inverse of A under tensordot over its first `ind` dims.", "A"_a,
       "ind"_a = 2);
  b.in(m, "tensorsolve", &linalg::tensorsolve,
       "tensorsolve(A, B, dims=None, *, out=None) -> Tensor\n\nX with tensordot(A, X, X.ndim) = B, the dims `dims` of A "
       "moved to its end first.",
       "A"_a, "B"_a, "dims"_a = nb::none());
  b.in(m, "tensorsolve", &linalg::tensorsolve, "The same, by the names that PyTorch takes.", "input"_a, "other"_a,
       "dims"_a = nb::none());
  for (const char* rcond : {"", "rcond"}) {
    if (!*rcond)
      b.in(
          m, "pinv",
          [](const Tensor& a, const Tolerance& atol, const Tolerance& rtol, bool hermitian) {
            return linalg::pinv(a, or_none(atol), or_none(rtol), hermitian);
          },
          "pinv(A, *, atol=None, rtol=None, hermitian=False, out=None) -> Tensor\n\nThe pseudoinverse. Singular values up "
          "to max(atol, rtol * largest) count as 0.",
          "A"_a, nb::kw_only(), "atol"_a = nb::none(), "rtol"_a = nb::none(), "hermitian"_a = false);
    else
      b.in(
          m, "pinv",
          [](const Tensor& a, const Operand& rtol, bool hermitian) {
            return linalg::pinv(a, Tensor(), rtol, hermitian);
          },
          "pinv(A, rcond, hermitian=False, *, out=None) -> Tensor", "A"_a, nb::arg(rcond), "hermitian"_a = false);
  }
}

void bind_factors(Binder& b, nb::module_& m) {
  b.in(
      m, "cholesky",
      [](const Tensor& a, bool upper) { return linalg::cholesky(a, upper); },
      "cholesky(A, *, upper=False, out=None) -> Tensor\n\nL with L L^H = A (U with U^H U = A) for symmetric "
      "positive-definite A.",
      "A"_a, nb::kw_only(), "upper"_a = false);
  b.in(
      m, "cholesky_ex",
      [type = named_type("linalg_cholesky_ex", {"L", "info"})](const Tensor& a, bool upper, bool check) {
        linalg::WithInfo r = linalg::cholesky_ex(a, upper, check);
        return NamedTensors{type, {r.result, r.info}};
      },
      "cholesky_ex(A, *, upper=False, check_errors=False, out=None) -> (L, info)\n\ncholesky that returns int32 codes in "
      "place of raising.",
      "A"_a, nb::kw_only(), "upper"_a = false, "check_errors"_a = false);
  b.in(
      m, "lu_factor",
      [type = named_type("linalg_lu_factor", {"LU", "pivots"})](const Tensor& a, bool pivot) {
        linalg::LUFactor r = linalg::lu_factor(a, pivot);
        return NamedTensors{type, {r.lu, r.pivots}};
      },
      "lu_factor(A, *, pivot=True, out=None) -> (LU, pivots)\n\nL and U of A = P L U in one matrix, and the rows that were "
      "swapped, counted from 1.",
      "A"_a, nb::kw_only(), "pivot"_a = true);
  b.in(
      m, "lu_factor_ex",
      [type = named_type("linalg_lu_factor_ex", {"LU", "pivots", "info"})](const Tensor& a, bool pivot, bool check) {
        linalg::LUFactor r = linalg::lu_factor_ex(a, pivot, check);
        return NamedTensors{type, {r.lu, r.pivots, r.info}};
      },
      "lu_factor_ex(A, *, pivot=True, check_errors=False, out=None) -> (LU, pivots, info)", "A"_a, nb::kw_only(),
      "pivot"_a = true, "check_errors"_a = false);
  b.in(
      m, "lu",
      [type = named_type("linalg_lu", {"P", "L", "U"})](const Tensor& a, bool pivot) {
        linalg::PLU r = linalg::lu(a, pivot);
        return NamedTensors{type, {r.p, r.l, r.u}};
      },
      "lu(A, *, pivot=True, out=None) -> (P, L, U)\n\nA = P L U.", "A"_a, nb::kw_only(), "pivot"_a = true);
  b.in(m, "lu_solve", &linalg::lu_solve,
       "lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None) -> Tensor\n\nsolve for the factors of lu_factor.",
       "LU"_a, "pivots"_a, "B"_a, nb::kw_only(), "left"_a = true, "adjoint"_a = false);
  b.in(
      m, "qr",
      [type = named_type("linalg_qr", {"Q", "R"})](const Tensor& a, const std::string& mode) {
        linalg::QR r = linalg::qr(a, mode);
        return NamedTensors{type, {r.q, r.r}};
      },
      "qr(A, mode='reduced', *, out=None) -> (Q, R)\n\nA = Q R; mode 'reduced' (Q has k columns), 'complete' (Q is "
      "square) or 'r' (only R).",
      "A"_a, "mode"_a = "reduced");
  b.in(m, "householder_product", &linalg::householder_product,
       "householder_product(A, tau, *, out=None) -> Tensor\n\nThe first columns of the product of Householder reflectors "
       "I - tau_i v_i v_i^H; v_i is column i of A below the diagonal, with a one on it.",
       "A"_a, "tau"_a);
  b.in(
      m, "ldl_factor",
      [type = named_type("linalg_ldl_factor", {"LD", "pivots"})](const Tensor& a, bool hermitian) {
        linalg::LDLFactor r = linalg::ldl_factor(a, hermitian);
        return NamedTensors{type, {r.ld, r.pivots}};
      },
      "ldl_factor(A, *, hermitian=False, out=None) -> (LD, pivots)\n\nBunch and Kaufman's factors of a symmetric "
      "(hermitian) matrix, in LAPACK's form.",
      "A"_a, nb::kw_only(), "hermitian"_a = false);
  b.in(
      m, "ldl_factor_ex",
      [type = named_type("linalg_ldl_factor_ex", {"LD", "pivots", "info"})](const Tensor& a, bool hermitian, bool check) {
        linalg::LDLFactor r = linalg::ldl_factor_ex(a, hermitian, check);
        return NamedTensors{type, {r.ld, r.pivots, r.info}};
      },
      "ldl_factor_ex(A, *, hermitian=False, check_errors=False, out=None) -> (LD, pivots, info)", "A"_a, nb::kw_only(),
      "hermitian"_a = false, "check_errors"_a = false);
  b.in(m, "ldl_solve", &linalg::ldl_solve,
       "ldl_solve(LD, pivots, B, *, hermitian=False, out=None) -> Tensor\n\nSolves A X = B for factors of ldl_factor.",
       "LD"_a, "pivots"_a, "B"_a, nb::kw_only(), "hermitian"_a = false);
}

void bind_spectra(Binder& b, nb::module_& m) {
  b.in(
      m, "svd",
      [type = named_type("linalg_svd", {"U", "S", "Vh"})](const Tensor& a, bool full,
                                                              const std::optional<std::string>& driver) {
        linalg::SVD r = linalg::svd(a, full, driver);
        return NamedTensors{type, {r.u, r.s, r.vh}};
      },
      "svd(A, full_matrices=True, *, driver=None, out=None) -> (U, S, Vh)\n\nA = U diag(S) Vh, S in descending order.",
      "A"_a, "full_matrices"_a = true, nb::kw_only(), "driver"_a = nb::none());
  b.in(m, "svdvals", &linalg::svdvals,
       "svdvals(A, *, driver=None, out=None) -> Tensor\n\nSingular values in descending order.", "A"_a, nb::kw_only(),
       "driver"_a = nb::none());
  b.in(
      m, "eig",
      [type = named_type("linalg_eig", {"eigenvalues", "eigenvectors"})](const Tensor& a) {
        linalg::Eigen r = linalg::eig(a);
        return NamedTensors{type, {r.values, r.vectors}};
      },
      "eig(A, *, out=None) -> (eigenvalues, eigenvectors)\n\nOf a square matrix; complex, in no order.", "A"_a);
  b.in(m, "eigvals", &linalg::eigvals,
       "eigvals(A, *, out=None) -> Tensor\n\nComplex eigenvalues of a square matrix.", "A"_a);
  b.in(
      m, "eigh",
      [type = named_type("linalg_eigh", {"eigenvalues", "eigenvectors"})](const Tensor& a, const std::string& uplo) {
        linalg::Eigen r = linalg::eigh(a, uplo);
        return NamedTensors{type, {r.values, r.vectors}};
      },
      "eigh(A, UPLO='L', *, out=None) -> (eigenvalues, eigenvectors)\n\nOf symmetric A, read from its lower ('L') or upper "
      "('U') triangle; eigenvalues ascend, eigenvectors are columns.",
      "A"_a, "UPLO"_a = "L");
  b.in(m, "eigvalsh", &linalg::eigvalsh,
       "eigvalsh(A, UPLO='L', *, out=None) -> Tensor\n\nEigenvalues of symmetric A in ascending order.", "A"_a,
       "UPLO"_a = "L");
}

void bind_measures(Binder& b, nb::module_& m) {
  b.in(m, "det", &linalg::det, "det(A, *, out=None) -> Tensor\n\nDeterminants.", "A"_a);
  b.in(
      m, "slogdet",
      [type = named_type("linalg_slogdet", {"sign", "logabsdet"})](const Tensor& a) {
        linalg::SlogDet r = linalg::slogdet(a);
        return NamedTensors{type, {r.sign, r.logabsdet}};
      },
      "slogdet(A, *, out=None) -> (sign, logabsdet)\n\nThe determinant is sign * exp(logabsdet).", "A"_a);
  b.in(
      m, "matrix_rank",
      [](const Tensor& a, const Tolerance& atol, const Tolerance& rtol, bool hermitian) {
        return linalg::matrix_rank(a, or_none(atol), or_none(rtol), hermitian);
      },
      "matrix_rank(A, *, atol=None, rtol=None, hermitian=False, out=None) -> Tensor\n\nHow many singular values exceed "
      "max(atol, rtol * largest).",
      "A"_a, nb::kw_only(), "atol"_a = nb::none(), "rtol"_a = nb::none(), "hermitian"_a = false);
  b.in(
      m, "matrix_rank",
      [](const Tensor& a, const Operand& tol, bool hermitian) {
        return linalg::matrix_rank(a, tol, Tensor::wrap(0.0), hermitian);
      },
      "matrix_rank(A, tol, hermitian=False, *, out=None) -> Tensor", "A"_a, "tol"_a, "hermitian"_a = false);
  b.in(
      m, "cond",
      [](const Tensor& a, const std::optional<Order>& p) {
        if (!p) return linalg::cond(a);
        return std::visit([&](const auto& order) { return linalg::cond(a, order); }, *p);
      },
      "cond(A, p=None, *, out=None) -> Tensor\n\nThe condition number in the norm p: None, 1, -1, 2, -2, inf, -inf, 'fro' "
      "or 'nuc'.",
      "A"_a, "p"_a = nb::none());
  b.in(
      m, "vector_norm",
      [](const Tensor& x, const Scalar& ord, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
        return vector_norm(x, ord, dim ? Ints(*dim) : Ints(), keepdim, dtype);
      },
      "vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None) -> Tensor\n\n(sum |x|^ord)^(1/ord), also "
      "for ord = 0, inf and -inf.",
      "x"_a, "ord"_a = Scalar(2), "dim"_a = nb::none(), "keepdim"_a = false, nb::kw_only(), "dtype"_a = nb::none());
  b.in(
      m, "matrix_norm",
      [](const Tensor& a, const Order& ord, const Shape& dim, bool keepdim, std::optional<DType> dtype) {
        return std::visit([&](const auto& p) { return linalg::matrix_norm(a, p, dim, keepdim, dtype); }, ord);
      },
      "matrix_norm(A, ord='fro', dim=(-2, -1), keepdim=False, *, dtype=None, out=None) -> Tensor\n\nord is 'fro', 'nuc' or "
      "1, 2, inf and their negatives.",
      "A"_a, "ord"_a = "fro", "dim"_a = Shape{-2, -1}, "keepdim"_a = false, nb::kw_only(), "dtype"_a = nb::none());
  b.in(
      m, "norm",
      [](const Tensor& a, const std::optional<Order>& ord, const Dims& dim, bool keepdim,
         std::optional<DType> dtype) {
        if (!ord) return linalg::norm(a, std::optional<Scalar>(), dim, keepdim, dtype);
        return std::visit([&](const auto& p) { return linalg::norm(a, p, dim, keepdim, dtype); }, *ord);
      },
      "norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None) -> Tensor\n\nvector_norm over one dim (or "
      "everything), matrix_norm over two.",
      "A"_a, "ord"_a = nb::none(), "dim"_a = nb::none(), "keepdim"_a = false, nb::kw_only(),
      "dtype"_a = nb::none());
}

void bind_functions(Binder& b, nb::module_& m) {
  b.in(m, "matrix_power", &linalg::matrix_power,
       "matrix_power(A, n, *, out=None) -> Tensor\n\nA multiplied by itself n times; the inverse for negative n.", "A"_a,
       "n"_a);
  b.in(m, "matrix_exp", &linalg::matrix_exp, "matrix_exp(A) -> Tensor\n\nI + A + A^2 / 2! + ...", "A"_a);
  b.in(m, "vecdot", &linalg::vecdot,
       "vecdot(x, y, *, dim=-1, out=None) -> Tensor\n\nSums conj(x) * y along a dim.", "x"_a, "y"_a, nb::kw_only(),
       "dim"_a = -1);
  b.in(m, "vander",
       [](const Tensor& x, std::optional<int64_t> n) { return linalg::vander(x, n); },
       "vander(x, N=None) -> Tensor\n\nThe powers 0, 1, ..., N - 1 of each element, along a new last dim.", "x"_a,
       nb::kw_only(), "N"_a = nb::none());
  b.in(m, "diagonal", &linalg::diagonal,
       "diagonal(A, *, offset=0, dim1=-2, dim2=-1) -> Tensor\n\nThe diagonals of matrices, a view.", "A"_a, nb::kw_only(),
       "offset"_a = 0, "dim1"_a = -2, "dim2"_a = -1);
  b.in(m, "multi_dot", &multi_dot,
       "multi_dot(tensors, *, out=None) -> Tensor\n\nThe product of a chain of matrices in the cheapest order; the first "
       "and last may be 1-d.",
       "tensors"_a);
  b.in(m, "cross", &linalg_cross,
       "cross(input, other, *, dim=-1, out=None) -> Tensor\n\nThe cross product of 3-vectors along `dim`.", "input"_a,
       "other"_a, nb::kw_only(), "dim"_a = -1);
  b.in(m, "matmul", &matmul, "matmul(input, other, *, out=None) -> Tensor\n\nAs norch.matmul.", "input"_a,
       "other"_a);
}

}  // namespace

PyObject* linalg_error = nullptr;

void bind_linalg(Binder& b) {
  nb::module_ m = b.root.def_submodule("_linalg", "Functions of norch.linalg.");
  linalg_error = PyErr_NewExceptionWithDoc("norch.linalg.LinAlgError",
                                           "A matrix for which there is no result: singular, not positive-definite, ...",
                                           PyExc_RuntimeError, nullptr);
  if (!linalg_error) throw nb::python_error();
  m.attr("LinAlgError") = nb::handle(linalg_error);
  bind_solvers(b, m);
  bind_factors(b, m);
  bind_spectra(b, m);
  bind_measures(b, m);
  bind_functions(b, m);
  bind_linalg_relatives(b);
}

}  // namespace norch::python
