// Norms of matrices and condition numbers.
#include <cmath>

#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/linalg_common.h"
#include "ops/product.h"

namespace norch::linalg {

namespace {

/// The two dims of a matrix norm, checked: non-negative and different.
std::pair<int64_t, int64_t> matrix_dims(const Tensor& a, Ints dims) {
  constexpr const char* op = "linalg.matrix_norm";
  NORCH_CHECK(is_differentiable(a.dtype()), op, ": Expected a floating point or complex tensor as input. Got ",
              scalar_type_name(a.dtype()));
  NORCH_CHECK(a.dim() >= 2, op, ": The input tensor A must have at least 2 dimensions.");
  NORCH_CHECK(dims.size() == 2, op, ": dim must be a 2-tuple. Got ", dims);
  const int64_t first = wrap_dim(dims[0], a.dim()), second = wrap_dim(dims[1], a.dim());
  NORCH_CHECK(first != second, op, ": dims must be different. Got (", dims[0], ", ", dims[1], ")");
  return {first, second};
}

/// Singular values of the matrices in two dims, as the last dim of what is left.
Tensor values_of(const Tensor& a, std::pair<int64_t, int64_t> dims) {
  detail::check_float("linalg.matrix_norm", a);
  return svdvals(movedim(a, {dims.first, dims.second}, {-2, -1}));
}

/// A result over the last dim, with the two dims put back as 1 if `keepdim`.
Tensor kept(Tensor t, std::pair<int64_t, int64_t> dims, bool keepdim) {
  if (!keepdim) return t;
  t = unsqueeze(t, std::min(dims.first, dims.second));
  return unsqueeze(t, std::max(dims.first, dims.second));
}

Tensor largest(const Tensor& t, int64_t dim, bool keepdim) {
  if (t.size(dim) == 0) {  // the norm of nothing
    const Tensor zero = zeros(t.sizes(), t.options());
    return sum(zero, {dim}, keepdim);
  }
  return amax(t, {dim}, keepdim);
}

}  // namespace

Tensor matrix_norm(const Tensor& a, const Scalar& ord, Ints dims, bool keepdim, std::optional<DType> dtype) {
  autocast::widen(dtype, a, autocast::float32_cuda);
  const auto d = matrix_dims(a, dims);
  const double p = ord.to_double(), size = std::fabs(p);
  NORCH_CHECK(size == 1 || size == 2 || std::isinf(size), "linalg.matrix_norm: Order ", ord, " not supported.");
  const Tensor x = dtype ? a.to(*dtype) : a;
  if (size == 2) {
    const Tensor s = values_of(x, d);
    return kept(p > 0 ? largest(s, -1, false) : amin(s, {-1}), d, keepdim);
  }
  // Sums over columns for 1, over rows for inf.
  const int64_t summed = size == 1 ? d.first : d.second, other = size == 1 ? d.second : d.first;
  const Tensor sums = vector_norm(x, 1, {summed}, true);
  const Tensor out = p > 0 ? largest(sums, other, true) : amin(sums, {other}, true);
  return keepdim ? out : squeeze(out, {summed, other});
}

Tensor matrix_norm(const Tensor& a, const std::string& ord, Ints dims, bool keepdim, std::optional<DType> dtype) {
  autocast::widen(dtype, a, autocast::float32_cuda);
  const auto d = matrix_dims(a, dims);
  NORCH_CHECK(ord == "fro" || ord == "nuc", "linalg.matrix_norm: Order ", ord, " not supported.");
  if (ord == "fro") return vector_norm(a, 2, {d.first, d.second}, keepdim, dtype);
  return kept(sum(values_of(dtype ? a.to(*dtype) : a, d), {-1}), d, keepdim);
}

Tensor norm(const Tensor& a, const std::optional<Scalar>& ord, const std::optional<Shape>& dims, bool keepdim,
            std::optional<DType> dtype) {
  if (dims)
    NORCH_CHECK(dims->size() == 1 || dims->size() == 2, "linalg.norm: If dim is specified, it must be of length 1 or 2. "
                "Got ", *dims);
  else
    NORCH_CHECK(!ord || a.dim() == 1 || a.dim() == 2, "linalg.norm: If dim is not specified but ord is, the input must "
                "be 1D or 2D. Got ", a.dim(), "D.");
  if (ord && ((dims && dims->size() == 2) || (!dims && a.dim() == 2)))
    return matrix_norm(a, *ord, dims ? *dims : Shape{0, 1}, keepdim, dtype);
  return vector_norm(a, ord.value_or(Scalar(2)), dims ? Ints(*dims) : Ints(), keepdim, dtype);
}

Tensor norm(const Tensor& a, const std::string& ord, const std::optional<Shape>& dims, bool keepdim,
            std::optional<DType> dtype) {
  if (dims)
    NORCH_CHECK(dims->size() == 1 || dims->size() == 2, "linalg.norm: If dim is specified, it must be of length 1 or 2. "
                "Got ", *dims);
  else
    NORCH_CHECK(a.dim() == 1 || a.dim() == 2, "linalg.norm: If dim is not specified but ord is, the input must be 1D or "
                "2D. Got ", a.dim(), "D.");
  return matrix_norm(a, ord, dims ? *dims : Shape{0, 1}, keepdim, dtype);
}

namespace {

Tensor no_condition(const Tensor& a) { return zeros(detail::batch_of(a), a.options().dtype(to_real(a.dtype()))); }

/// The product of a norm of A and that of its inverse, which is infinite where A is singular.
template <class P>
Tensor cond_by_inverse(const Tensor& a, const P& p) {
  const std::string op = str("linalg.cond(ord=", p, ")");
  detail::check_square(op.c_str(), a);
  detail::check_float("linalg.cond", a);
  if (a.numel() == 0) return no_condition(a);
  const WithInfo r = inv_ex(a);
  const Tensor bad = unsqueeze(unsqueeze(gt(r.info, Tensor::wrap(0)), -1), -1);
  const Tensor inverse = masked_fill(r.result, bad, Tensor::wrap(HUGE_VAL));
  // 0 * inf counts as inf, as in NumPy.
  return nan_to_num(mul(matrix_norm(a, p), matrix_norm(inverse, p)), HUGE_VAL, HUGE_VAL, -HUGE_VAL);
}

/// Largest over smallest singular value, or the reverse.
Tensor cond_by_values(const Tensor& a, bool reverse) {
  detail::check_matrix("linalg.cond", a);
  detail::check_float("linalg.cond", a);
  if (a.numel() == 0) return no_condition(a);
  const Tensor s = svdvals(a), high = amax(s, {-1}), low = amin(s, {-1});
  return reverse ? div(low, high) : div(high, low);
}

}  // namespace

Tensor cond(const Tensor& a) { return cond_by_values(a, false); }

Tensor cond(const Tensor& a, const Scalar& p) {
  const double order = p.to_double();
  if (order == 2 || order == -2) return cond_by_values(a, order < 0);
  NORCH_CHECK(std::isinf(order) || std::fabs(order) == 1, "linalg.cond got an invalid norm type: ", p,
              "; p is 1, -1, 2, -2, inf, -inf, 'fro' or 'nuc'");
  return cond_by_inverse(a, p);
}

Tensor cond(const Tensor& a, const std::string& p) {
  NORCH_CHECK(p == "fro" || p == "nuc", "linalg.cond got an invalid norm type: ", p,
              "; p is 1, -1, 2, -2, inf, -inf, 'fro' or 'nuc'");
  if (p == "fro") return cond_by_inverse(a, p);
  detail::check_square("linalg.cond(ord=nuc)", a);
  detail::check_float("linalg.cond", a);
  if (a.numel() == 0) return no_condition(a);
  const Tensor s = svdvals(a);
  return mul(sum(s, {-1}), sum(reciprocal(s), {-1}));
}

}  // namespace norch::linalg
