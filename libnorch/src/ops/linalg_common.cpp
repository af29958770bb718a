#include "ops/linalg_common.h"

#include <limits>

#include "core/factory.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/product.h"

namespace norch::linalg::detail {

void check_float(const char* op, const Tensor& a) {
  NORCH_CHECK(is_differentiable(a.dtype()), op, ": Expected a floating point or complex tensor as input. Got ",
              scalar_type_name(a.dtype()));
  NORCH_CHECK(a.dtype() != kFloat16 && a.dtype() != kBFloat16, op, ": Low precision dtypes not supported. Got ", scalar_type_name(a.dtype()),
              "; convert to float32 or float64");
}

void check_matrix(const char* op, const Tensor& a, const char* name) {
  NORCH_CHECK(a.dim() >= 2, op, ": The input tensor ", name, " must have at least 2 dimensions.");
  NORCH_CHECK(a.size(-1) <= std::numeric_limits<int32_t>::max() && a.size(-2) <= std::numeric_limits<int32_t>::max(),
              op, ": ", name, " of shape ", a.sizes(), " is too large: LAPACK counts rows and columns in 32 bits");
}

void check_square(const char* op, const Tensor& a, const char* name) {
  check_matrix(op, a, name);
  NORCH_CHECK(a.size(-1) == a.size(-2), op, ": ", name, " must be batches of square matrices, but they are ",
              a.size(-2), " by ", a.size(-1), " matrices");
}

bool is_vector(const Tensor& a, const Tensor& b) {
  return b.dim() == 1 || (a.dim() - 1 == b.dim() && b.sizes() == a.sizes().slice(0, a.sizes().size() - 1));
}

void check_alike(const char* op, const Tensor& a, const char* name_a, const Tensor& b, const char* name_b) {
  NORCH_CHECK(a.dtype() == b.dtype(), op, ": Expected ", name_a, " and ", name_b, " to have the same dtype, but found ",
              name_a, " of type ", scalar_type_name(a.dtype()), " and ", name_b, " of type ",
              scalar_type_name(b.dtype()), " instead");
  check_same_device(op, a, b);
}

Shape joined(Ints batch, Ints tail) {
  Shape shape(batch);
  for (int64_t n : tail) shape.push_back(n);
  return shape;
}

Tensor new_columns(Ints sizes, DType dtype, Device device) {
  const size_t n = sizes.size();
  Shape turned(sizes);
  std::swap(turned[n - 1], turned[n - 2]);
  Shape strides = contiguous_strides(turned);
  std::swap(strides[n - 1], strides[n - 2]);
  return new_strided(sizes, strides, dtype, device);
}

Tensor copy_columns(const Tensor& t, Ints batch) {
  Tensor out = new_columns(joined(batch, t.sizes().slice(t.sizes().size() - 2)), t.dtype(), t.device());
  copy_into(out, t.detach());
  return out;
}

Tensor as_columns(const Tensor& t, Ints batch) {
  if (batch_of(t) == batch && t.dim() >= 2 && matrix_T(t.detach()).is_contiguous()) return t.detach();
  return copy_columns(t, batch);
}

Tensor identity_like(const Tensor& t, int64_t n) { return eye(n, t.options()); }

Tensor diagonal_of(const Tensor& t) { return norch::diagonal(t, 0, -2, -1); }

double epsilon_of(DType t) {
  return to_real(t) == DType::Float64 ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
}

void check_info(const char* op, const Tensor& info, Failure failure) {
  const Tensor values = info.cpu();
  const int32_t* p = values.data<int32_t>();
  int64_t at = 0;
  while (at < values.numel() && p[at] == 0) ++at;
  if (at == values.numel()) return;
  const int32_t code = p[at];
  std::string text = str(op, ": ");
  if (info.dim() > 0) text += str("(Batch element ", at, "): ");
  if (code == -4 && failure == Failure::Svd)
    throw LinAlgError(text + "The algorithm failed to converge because the input matrix contained non-finite values.");
  switch (failure) {
    case Failure::Singular:
      throw LinAlgError(str(text, "The diagonal element ", code,
                            " is zero, the inversion could not be completed because the input matrix is singular."));
    case Failure::Solve: throw LinAlgError(text + "The solver failed because the input matrix is singular.");
    case Failure::Cholesky:
      throw LinAlgError(str(text, "The factorization could not be completed because the input is not positive-definite "
                                  "(the leading minor of order ", code, " is not positive-definite)."));
    case Failure::Svd:
      throw LinAlgError(str(text, "The algorithm failed to converge because the input matrix is ill-conditioned or has "
                                  "too many repeated singular values (error code: ", code, ")."));
    case Failure::Eigen:
      throw LinAlgError(str(text, "The algorithm failed to converge because the input matrix is ill-conditioned or has "
                                  "too many repeated eigenvalues (error code: ", code, ")."));
    case Failure::ZeroPivot:
      throw LinAlgError(str(text, "U[", code, ",", code, "] is zero and using it on lu_solve would result in a division "
                                  "by zero. If you still want to perform the factorization, consider calling "
                                  "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"));
    case Failure::RankDeficient:
      throw LinAlgError(str(text, "The least squares solution could not be computed because the input matrix does not "
                                  "have full rank (error code: ", code, ")."));
  }
}

}  // namespace norch::linalg::detail
