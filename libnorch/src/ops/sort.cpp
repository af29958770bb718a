#include "norch/ops/sort.h"

#include <atomic>

#include "core/factory.h"
#include "kernels/sort.h"
#include "kernels/ties.h"
#include "norch/autograd.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/view.h"
#include "ops/along_dim.h"
#include "ops/dtype_views.h"
#include "ops/reduce_common.h"

namespace norch {

namespace kernels {
namespace {
std::atomic<bool> g_pytorch_ties{false};
}  // namespace
bool pytorch_ties() { return g_pytorch_ties.load(std::memory_order_relaxed); }
void set_pytorch_ties(bool on) { g_pytorch_ties.store(on, std::memory_order_relaxed); }
}  // namespace kernels

namespace {

/// The tensor as contiguous rows along `dim`; its last dim is the one asked for.
struct RowsOf {
  Tensor x;
  int64_t rows, n;
  bool moved;
  RowsOf(const Tensor& t, int64_t dim) : moved(t.dim() > 1 && dim != t.dim() - 1) {
    x = (moved ? transpose(t.detach(), dim, t.dim() - 1) : t.detach()).contiguous();
    n = t.dim() ? t.sizes()[dim] : 1;
    rows = n ? x.numel() / n : 0;
  }
  /// A result with `count` elements along the last dim.
  Tensor make(int64_t count, DType type) const {
    Shape shape(x.sizes());
    if (!shape.empty()) shape.back() = count;
    return new_tensor(shape, type, x.device());
  }
  /// Puts the last dim of a result where it belongs.
  Tensor back(const Tensor& t, int64_t dim) const {
    return moved ? transpose(t, dim, t.dim() - 1).contiguous() : t;
  }
};

ValuesAndIndices kth_op(const char* node, const Tensor& t, int64_t k, int64_t dim, bool keepdim) {
  if (is_wide_unsigned(t.dtype())) {
    const ValuesAndIndices r = kth_op(node, in_int64_order(t), k, dim, keepdim);
    return {from_int64_order(r.values, t.dtype()), r.indices};
  }
  const RowsOf r(t, dim);
  Tensor values = r.make(1, t.dtype()), indices = r.make(1, DType::Int64);
  if (r.rows && r.n) kernels::kth(t.device(), r.rows, r.n, k, values, indices, r.x);
  Shape shape(t.sizes());
  if (t.dim()) {
    if (keepdim)
      shape[dim] = 1;
    else
      shape.erase(static_cast<size_t>(dim));
  }
  auto place = [&](const Tensor& part) {
    return reshape(r.moved ? transpose(part, dim, t.dim() - 1) : part, shape).detach();
  };
  ValuesAndIndices out{place(values), place(indices)};
  record_selected(node, t, out.values, out.indices, dim, keepdim);
  return out;
}

}  // namespace

ValuesAndIndices sort(const Tensor& t, int64_t dim, bool descending) {
  dim = wrap_dim(dim, t.dim(), "sort");
  if (is_wide_unsigned(t.dtype())) {
    const ValuesAndIndices r = sort(in_int64_order(t), dim, descending);
    return {from_int64_order(r.values, t.dtype()), r.indices};
  }
  const RowsOf r(t, dim);
  Tensor values = r.make(r.n, t.dtype()), indices = r.make(r.n, DType::Int64);
  if (t.numel()) kernels::sort(t.device(), descending, r.rows, r.n, values, indices, r.x);
  ValuesAndIndices out{r.back(values, dim), r.back(indices, dim)};
  record_selected("SortBackward0", t, out.values, out.indices, dim, true);
  return out;
}

Tensor argsort(const Tensor& t, int64_t dim, bool descending) {
  dim = wrap_dim(dim, t.dim(), "argsort");
  const RowsOf r(in_int64_order(t), dim);
  Tensor indices = r.make(r.n, DType::Int64);
  if (t.numel()) kernels::sort(t.device(), descending, r.rows, r.n, Tensor(), indices, r.x);
  return r.back(indices, dim);
}

Tensor msort(const Tensor& t) { return sort(t, 0).values; }

ValuesAndIndices topk(const Tensor& t, int64_t k, int64_t dim, bool largest) {
  dim = wrap_dim(dim, t.dim(), "topk");
  if (is_wide_unsigned(t.dtype())) {
    const ValuesAndIndices r = topk(in_int64_order(t), k, dim, largest);
    return {from_int64_order(r.values, t.dtype()), r.indices};
  }
  const int64_t size = t.dim() ? t.sizes()[dim] : 1;
  NORCH_CHECK(k >= 0 && k <= size, "topk: selected index k out of range: k is ", k, ", dim ", dim, " of shape ",
              t.sizes(), " has ", size, " elements");
  if (t.dim() == 0) k = 1;  // the shape of the result leaves no choice; as in PyTorch
  const RowsOf r(t, dim);
  Tensor values = r.make(k, t.dtype()), indices = r.make(k, DType::Int64);
  if (values.numel()) kernels::topk(t.device(), largest, r.rows, r.n, k, values, indices, r.x);
  ValuesAndIndices out{r.back(values, dim), r.back(indices, dim)};
  record_selected("TopkBackward0", t, out.values, out.indices, dim, true);
  return out;
}

ValuesAndIndices kthvalue(const Tensor& t, int64_t k, int64_t dim, bool keepdim) {
  dim = wrap_dim(dim, t.dim(), "kthvalue");
  const int64_t size = t.dim() ? t.sizes()[dim] : 1;
  check_not_empty("kthvalue", t, reduced_dims("kthvalue", t, {dim}, keepdim), false);
  NORCH_CHECK(k >= 1 && k <= size, "kthvalue(): selected number k out of range for dimension ", dim, ": k is ", k,
              ", the dim has ", size, " elements");
  return kth_op("KthvalueBackward0", t, k - 1, dim, keepdim);
}

}  // namespace norch
