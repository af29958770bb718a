// Contractions over named or numbered dims, all by way of one batched product.
#include <algorithm>
#include <array>
#include <limits>

#include "norch/ops/binary.h"
#include "norch/ops/join.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/product.h"

namespace norch {

Tensor tensordot(const Tensor& a, const Tensor& b, Ints dims_a, Ints dims_b) {
  NORCH_AUTOCAST(widest_cuda, tensordot, a, b, dims_a, dims_b);
  NORCH_CHECK(dims_a.size() == dims_b.size(), "tensordot: both dimension lists should have same length, got ", dims_a,
              " and ", dims_b);
  Shape left, right, order_a, order_b, shape, stretched_a, stretched_b;
  uint64_t used_a = 0, used_b = 0;
  int64_t summed = 1, rows = 1, cols = 1;
  for (size_t i = 0; i < dims_a.size(); ++i) {
    left.push_back(wrap_dim(dims_a[i], a.dim(), "tensordot"));
    right.push_back(wrap_dim(dims_b[i], b.dim(), "tensordot"));
    const uint64_t bit_a = uint64_t{1} << left[i], bit_b = uint64_t{1} << right[i];
    NORCH_CHECK(!(used_a & bit_a) && !(used_b & bit_b), "tensordot: a dim appears twice in ", dims_a, " or ", dims_b);
    used_a |= bit_a;
    used_b |= bit_b;
    const int64_t size_a = a.dim() ? a.sizes()[left[i]] : 1, size_b = b.dim() ? b.sizes()[right[i]] : 1;
    // A dim of size 1 broadcasts: its partner may as well be summed first.
    if (size_a != size_b && size_b == 1) stretched_a.push_back(left[i]);
    if (size_a != size_b && size_a == 1) stretched_b.push_back(right[i]);
    NORCH_CHECK(size_a == size_b || size_a == 1 || size_b == 1, "tensordot: contracted dimensions need to match, but first has size ", size_a,
                " in dim ", dims_a[i], " and second has size ", size_b, " in dim ", dims_b[i]);
    summed *= std::min(size_a, size_b);
  }
  if (!stretched_a.empty() || !stretched_b.empty())
    return tensordot(stretched_a.empty() ? a : sum(a, stretched_a, true, a.dtype()),
                     stretched_b.empty() ? b : sum(b, stretched_b, true, b.dtype()), dims_a, dims_b);
  for (int64_t d = 0; d < a.dim(); ++d) {
    if ((used_a >> d) & 1) continue;
    order_a.push_back(d);
    shape.push_back(a.sizes()[d]);
    rows *= a.sizes()[d];
  }
  for (int64_t d : right) order_b.push_back(d);
  for (int64_t d : left) order_a.push_back(d);
  for (int64_t d = 0; d < b.dim(); ++d) {
    if ((used_b >> d) & 1) continue;
    order_b.push_back(d);
    shape.push_back(b.sizes()[d]);
    cols *= b.sizes()[d];
  }
  const Tensor x = a.dim() ? permute(a, order_a) : a, y = b.dim() ? permute(b, order_b) : b;
  return reshape(mm(reshape(x, {rows, summed}), reshape(y, {summed, cols})), shape);
}

Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims) {
  NORCH_AUTOCAST(widest_cuda, tensordot, a, b, dims);
  NORCH_CHECK(dims >= 0, "tensordot: expects dims >= 0, but got dims=", dims);
  NORCH_CHECK(dims <= a.dim() && dims <= b.dim(), "tensordot: expects dims < ndim_a or ndim_b, but got dims=", dims);
  Shape left, right;
  for (int64_t i = 0; i < dims; ++i) {
    left.push_back(i - dims);
    right.push_back(i);
  }
  return tensordot(a, b, left, right);
}

Tensor inner(const Tensor& a, const Tensor& b) {
  if (a.dim() == 0 || b.dim() == 0) return mul(a, b);
  NORCH_CHECK(a.sizes().back() == b.sizes().back(), "inner() the last dimension must match on both input tensors but ",
              "got shapes ", a.sizes(), " and ", b.sizes());
  if (a.dim() == 1 && b.dim() == 1) return dot(a, b);
  return tensordot(a, b, {-1}, {-1});
}

Tensor kron(const Tensor& a, const Tensor& b) {
  const int64_t n = std::max(a.dim(), b.dim());
  NORCH_CHECK(2 * n <= kMaxTensorDims, "kron: too many dims");
  // Dims alternate: those of a have size 1 in b's operand and the other way round.
  Shape left, right, shape;
  for (int64_t d = 0; d < n; ++d) {
    const int64_t i = d - (n - a.dim()), j = d - (n - b.dim());
    const int64_t size_a = i < 0 ? 1 : a.sizes()[i], size_b = j < 0 ? 1 : b.sizes()[j];
    left.push_back(size_a);
    left.push_back(1);
    right.push_back(1);
    right.push_back(size_b);
    shape.push_back(size_a * size_b);
  }
  return reshape(mul(reshape(a, left), reshape(b, right)), shape);
}

Tensor trace(const Tensor& t) {
  NORCH_CHECK(t.dim() == 2, "trace: expected a matrix, but got tensor with dim ", t.dim());
  return sum(diagonal(t));
}

Tensor linalg_cross(const Tensor& a, const Tensor& b, int64_t dim) {
  NORCH_CHECK(a.dim() == b.dim(), "linalg.cross: inputs must have the same number of dimensions.");
  const int64_t d = wrap_dim(dim, a.dim());
  NORCH_CHECK(a.dim() > 0 && a.sizes()[d] == 3 && b.sizes()[d] == 3, "linalg.cross: inputs dimension ", dim,
              " must have length 3. Got ", a.dim() ? a.sizes()[d] : 0, " and ", b.dim() ? b.sizes()[d] : 0);
  // (a1, a2, a0) * (b2, b0, b1) - (a2, a0, a1) * (b1, b2, b0)
  const auto turned = [d](const Tensor& t, int64_t by) {
    return cat({narrow(t, d, by, 3 - by), narrow(t, d, 0, by)}, d);
  };
  return sub(mul(turned(a, 1), turned(b, 2)), mul(turned(a, 2), turned(b, 1)));
}

Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
  NORCH_AUTOCAST(widest_cuda, cross, a, b, dim);
  if (dim) return linalg_cross(a, b, *dim);
  const Shape shape = broadcast_shapes(a.sizes(), b.sizes(), "cross");
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d] == 3) return linalg_cross(expand(a, shape), expand(b, shape), static_cast<int64_t>(d));
  NORCH_RAISE(Error, "cross: no dimension of size 3 in input");
}

namespace {

/// Multiplies matrices [first, last] in the order that `split` says.
Tensor multiply_chain(const TensorList& list, const std::vector<std::vector<size_t>>& split, size_t first, size_t last) {
  if (first == last) return list[first];
  const size_t at = split[first][last];
  return mm(multiply_chain(list, split, first, at), multiply_chain(list, split, at + 1, last));
}

Tensor chain(const char* op, const TensorList& list) {
  const size_t n = list.size();
  std::vector<double> sizes;
  for (size_t i = 0; i < n; ++i) {
    NORCH_CHECK(list[i].dim() == 2, op, ": tensor ", i, " must be 2D but got ", list[i].dim(), "D");
    NORCH_CHECK(i == 0 || list[i - 1].sizes()[1] == list[i].sizes()[0], op, ": tensors ", i - 1, " and ", i,
                " with shapes ", list[i - 1].sizes(), " and ", list[i].sizes(), " cannot be multiplied");
    sizes.push_back(static_cast<double>(list[i].sizes()[0]));
  }
  sizes.push_back(static_cast<double>(list.back().sizes()[1]));
  if (n > 256) {  // the search below is cubic
    Tensor out = list[0];
    for (size_t i = 1; i < n; ++i) out = mm(out, list[i]);
    return out;
  }
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
  std::vector<std::vector<size_t>> split(n, std::vector<size_t>(n, 0));
  for (size_t length = 1; length < n; ++length)
    for (size_t i = 0; i + length < n; ++i) {
      const size_t j = i + length;
      cost[i][j] = std::numeric_limits<double>::infinity();
      for (size_t k = i; k < j; ++k) {
        const double c = cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1];
        if (c >= cost[i][j]) continue;
        cost[i][j] = c;
        split[i][j] = k;
      }
    }
  return multiply_chain(list, split, 0, n - 1);
}

}  // namespace

Tensor chain_matmul(const TensorList& matrices) {
  NORCH_AUTOCAST(lower_cuda, chain_matmul, matrices);
  NORCH_CHECK(!matrices.empty(), "chain_matmul(): Expected one or more matrices");
  for (const Tensor& t : matrices) NORCH_CHECK_TYPE(t.defined(), "chain_matmul(): an operand is None");
  return chain("chain_matmul()", matrices);
}

Tensor multi_dot(const TensorList& tensors) {
  NORCH_AUTOCAST(lower_cuda, multi_dot, tensors);
  const size_t n = tensors.size();
  NORCH_CHECK(n >= 2, "multi_dot(): expected at least 2 tensors but got ", n);
  for (const Tensor& t : tensors) NORCH_CHECK_TYPE(t.defined(), "multi_dot(): an operand is None");
  TensorList list = tensors;
  Shape shape;
  if (list[0].dim() == 1)
    list[0] = reshape(list[0], {1, list[0].numel()});
  else if (list[0].dim() == 2)
    shape.push_back(list[0].sizes()[0]);
  if (list[n - 1].dim() == 1)
    list[n - 1] = reshape(list[n - 1], {list[n - 1].numel(), 1});
  else if (list[n - 1].dim() == 2)
    shape.push_back(list[n - 1].sizes()[1]);
  return reshape(chain("multi_dot()", list), shape);
}

}  // namespace norch
