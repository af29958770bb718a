// What PyTorch has of linear algebra beside torch.linalg.
#include "linalg_module.h"
#include "norch/ops/linalg.h"
#include "norch/ops/reduce.h"
#include "norch/ops/segment.h"

namespace norch::python {

namespace {

void bind_factors(Binder& b) {
  b.op("cholesky", static_cast<Tensor (*)(const Tensor&, bool)>(&cholesky),
       "cholesky(input, upper=False) -> Tensor\n\nAs linalg.cholesky.", "input"_a, "upper"_a = false);
  b.op("cholesky_inverse", &cholesky_inverse,
       "cholesky_inverse(L, upper=False) -> Tensor\n\nThe inverse of the matrix whose Cholesky factor is L.", "L"_a,
       "upper"_a = false);
  b.function("cholesky_inverse", &cholesky_inverse, "The same, by the name that PyTorch takes.", "input"_a,
             "upper"_a = false);
  b.op("cholesky_solve", &cholesky_solve,
       "cholesky_solve(B, L, upper=False) -> Tensor\n\nSolves A X = B, given the Cholesky factor L of A.", "B"_a,
       "L"_a, "upper"_a = false);
  b.op("cholesky_solve", &cholesky_solve, "The same, by the names that PyTorch takes.", "input"_a, "input2"_a,
       "upper"_a = false);
  const auto qr_row = [type = named_type("qr", {"Q", "R"})](const Tensor& a, bool some) {
    linalg::QR r = qr(a, some);
    return NamedTensors{type, {r.q, r.r}};
  };
  b.op(
      "qr", qr_row,
      "qr(input, some=True, *, out=None) -> (Q, R)\n\nlinalg.qr in mode 'reduced' or 'complete'.", "input"_a,
      "some"_a = true);
  const auto svd_row = [type = named_type("svd", {"U", "S", "V"})](const Tensor& a, bool some, bool compute_uv) {
    linalg::SVD r = svd(a, some, compute_uv);
    return NamedTensors{type, {r.u, r.s, r.vh}};
  };
  b.op(
      "svd", svd_row,
      "svd(input, some=True, compute_uv=True, *, out=None) -> (U, S, V)\n\ninput = U diag(S) V^H; zeros for U and V unless "
      "compute_uv.",
      "input"_a, "some"_a = true, "compute_uv"_a = true);
  const auto geqrf_row = [type = named_type("geqrf", {"a", "tau"})](const Tensor& a) {
    Reflectors r = geqrf(a);
    return NamedTensors{type, {r.a, r.tau}};
  };
  b.op(
      "geqrf", geqrf_row,
      "geqrf(input, *, out=None) -> (a, tau)\n\nQR factors in Householder's form.", "input"_a);
  b.op("orgqr", &linalg::householder_product,
       "orgqr(input, tau) -> Tensor\n\nAs linalg.householder_product.", "input"_a, "tau"_a);
  b.op("orgqr", &linalg::householder_product, "The same, by the names that PyTorch takes.", "input"_a, "input2"_a);
  b.op("ormqr", &ormqr,
       "ormqr(input, tau, other, left=True, transpose=False) -> Tensor\n\nother multiplied by the whole Q of "
       "Householder reflectors, from the left or right, or by its transpose.",
       "input"_a, "tau"_a, "other"_a, "left"_a = true, "transpose"_a = false);
  b.op("ormqr", &ormqr, "The same, by the names that PyTorch takes.", "input"_a, "input2"_a, "input3"_a,
       "left"_a = true, "transpose"_a = false);
}

void bind_lu(Binder& b) {
  PyObject* factors = named_type("lu_factor", {"LU", "pivots"});
  PyObject* with_info = named_type("lu_factor_with_info", {"LU", "pivots", "info"});
  b.op(
      "lu",
      [factors, with_info](const Tensor& a, bool pivot, bool get_infos) {
        linalg::LUFactor r = linalg::lu_factor_ex(a, pivot);
        return get_infos ? NamedTensors{with_info, {r.lu, r.pivots, r.info}} : NamedTensors{factors, {r.lu, r.pivots}};
      },
      "lu(A, pivot=True, get_infos=False) -> (LU, pivots) or (LU, pivots, info)\n\nAs linalg.lu_factor_ex: a "
      "singular matrix raises nothing.",
      "A"_a, "pivot"_a = true, "get_infos"_a = false);
  b.function(
      "lu_unpack",
      [type = named_type("lu_unpack", {"P", "L", "U"})](const Tensor& lu, const Tensor& pivots, bool data, bool swaps) {
        linalg::PLU r = lu_unpack(lu, pivots, data, swaps);
        return NamedTensors{type, {r.p, r.l, r.u}};
      },
      "lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None) -> (P, L, U)\n\nThe matrices that "
      "linalg.lu_factor's results stand for; those not asked for are empty.",
      "LU_data"_a, "LU_pivots"_a, "unpack_data"_a = true, "unpack_pivots"_a = true);
  b.op("lu_solve",
       +[](const Tensor& x, const Tensor& lu, const Tensor& pivots) { return linalg::lu_solve(lu, pivots, x); },
       "lu_solve(input, LU_data, LU_pivots) -> Tensor\n\nSolves A X = input for factors of lu.", "input"_a, "LU_data"_a,
       "LU_pivots"_a);
  const auto triangular = [type = named_type("triangular_solve", {"solution", "cloned_coefficient"})](
                              const Tensor& x, const Tensor& a, bool upper, bool transposed, bool unit) {
    auto [solution, coefficient] = triangular_solve(x, a, upper, transposed, unit);
    return NamedTensors{type, {solution, coefficient}};
  };
  b.op(
      "triangular_solve", triangular,
      "triangular_solve(input, A, upper=True, transpose=False, unitriangular=False, *, out=None) -> (solution, "
      "cloned_coefficient)\n\nSolves A X = input for triangular A.",
      "input"_a, "A"_a, "upper"_a = true, "transpose"_a = false, "unitriangular"_a = false);
}

void bind_measures(Binder& b) {
  b.op("det", &linalg::det, "det(input) -> Tensor\n\nAs linalg.det.", "input"_a);
  b.op("logdet", &logdet, "logdet(input) -> Tensor\n\nlog(det(input)): -inf for 0, NaN for a negative determinant.",
       "input"_a);
  b.op(
      "slogdet",
      [type = named_type("slogdet", {"sign", "logabsdet"})](const Tensor& a) {
        linalg::SlogDet r = linalg::slogdet(a);
        return NamedTensors{type, {r.sign, r.logabsdet}};
      },
      "slogdet(input) -> (sign, logabsdet)\n\nAs linalg.slogdet.", "input"_a);
  b.op("inverse", &linalg::inv, "inverse(input) -> Tensor\n\nAs linalg.inv.", "input"_a);
  b.op("pinverse", &pinverse, "pinverse(input, rcond=1e-15) -> Tensor\n\nlinalg.pinv with rtol=rcond.", "input"_a,
       "rcond"_a = 1e-15);
  b.op("matrix_exp", &linalg::matrix_exp, "matrix_exp(input) -> Tensor\n\nAs linalg.matrix_exp.", "input"_a);
  b.op("matrix_power", &linalg::matrix_power, "matrix_power(input, n) -> Tensor\n\nAs linalg.matrix_power.",
       "input"_a, "n"_a);
  b.function("vander", static_cast<Tensor (*)(const Tensor&, std::optional<int64_t>, bool)>(&vander),
             "vander(x, N=None, increasing=False) -> Tensor\n\nColumns of the powers N - 1, ..., 0 of a 1-d tensor.", "x"_a,
             "N"_a = nb::none(), "increasing"_a = false);
  const auto plain = [](const linalg::SVD& r) { return nb::make_tuple(r.u, r.s, r.vh); };
  b.function(
      "svd_lowrank",
      [plain](const Tensor& a, std::optional<int64_t> q, int64_t niter, const std::optional<Tensor>& m) {
        return plain(svd_lowrank(a, q.value_or(6), niter, m.value_or(Tensor())));
      },
      "svd_lowrank(A, q=6, niter=2, M=None) -> (U, S, V)\n\nAn approximate singular value decomposition of rank q, of A - M "
      "if M is given, from random projections.",
      "A"_a, "q"_a = 6, "niter"_a = 2, "M"_a = nb::none());
  b.function(
      "pca_lowrank",
      [plain](const Tensor& a, std::optional<int64_t> q, bool center, int64_t niter) {
        return plain(pca_lowrank(a, q, center, niter));
      },
      "pca_lowrank(A, q=None, center=True, niter=2) -> (U, S, V)\n\nThe q leading principal components of the rows of A.",
      "A"_a, "q"_a = nb::none(), "center"_a = true, "niter"_a = 2);
  b.function(
      "frobenius_norm",
      [](const Tensor& t, const Shape& dim, bool keepdim) { return vector_norm(t, 2, dim, keepdim); },
      "frobenius_norm(input, dim=(), keepdim=False) -> Tensor\n\nThe root of the sum of squares.\n\n"
      ">>> norch.frobenius_norm(norch.tensor([[3.0, 4.0]]))\ntensor(5.)",
      "input"_a, "dim"_a = Shape(), "keepdim"_a = false);
  const char* nuclear_doc = "nuclear_norm(input, dim=(-2, -1), keepdim=False) -> Tensor\n\nThe sum of the singular values.\n\n"
                            ">>> norch.nuclear_norm(norch.tensor([[3.0, 0.0], [0.0, 4.0]]))\ntensor(7.)";
  b.function(
      "nuclear_norm", [](const Tensor& t, bool keepdim) { return linalg::matrix_norm(t, std::string("nuc"), {-2, -1}, keepdim); },
      nuclear_doc, "input"_a, "keepdim"_a = false);
  b.function(
      "nuclear_norm",
      [](const Tensor& t, const Shape& dim, bool keepdim) { return linalg::matrix_norm(t, std::string("nuc"), dim, keepdim); },
      nuclear_doc, "input"_a, "dim"_a, "keepdim"_a = false);
  b.function("norm_except_dim", &norm_except_dim,
             "norm_except_dim(v, pow=2, dim=0) -> Tensor\n\nThe norms of the slices along `dim`, with all dims kept; -1: of the "
             "whole tensor.\n\n>>> norch.norm_except_dim(norch.tensor([[3.0, 4.0], [0.0, 2.0]]))\ntensor([[5.],\n        [2.]])",
             "v"_a, "pow"_a = 2, "dim"_a = 0);
}

}  // namespace

void bind_linalg_relatives(Binder& b) {
  bind_factors(b);
  bind_lu(b);
  bind_measures(b);
}

}  // namespace norch::python
