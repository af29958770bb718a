#include "kernels/reduce_plan.h"

#include <utility>

#include "kernels/dispatch.h"

namespace norch {

namespace {

using Dim = ReducePlan::Dim;

/// Small strides inside; a dim that repeats the same memory (stride 0) goes outside.
bool inner_to(const Dim& a, const Dim& b) {
  const int64_t x = a.in ? a.in : INT64_MAX, y = b.in ? b.in : INT64_MAX;
  return x != y ? x < y : a.out < b.out;
}

void sort_and_merge(Dim* dims, int& count, int64_t itemsize) {
  for (int d = 1; d < count; ++d)
    for (int i = d; i > 0 && inner_to(dims[i], dims[i - 1]); --i) std::swap(dims[i], dims[i - 1]);
  int last = 0;
  for (int d = 1; d < count; ++d) {
    Dim& inner = dims[last];
    if (inner.in * inner.size == dims[d].in && inner.out * inner.size == dims[d].out)
      inner.size *= dims[d].size;
    else
      dims[++last] = dims[d];
  }
  if (count == 0) dims[0] = {1, itemsize, 0};
  count = last + 1;
}

}  // namespace

ReducePlan make_reduce_plan(const Tensor& in, uint64_t mask) {
  // No kernel reduces complex numbers: ops that can reduce their parts.
  if (in.is_complex()) detail::no_kernel_for(in.dtype());
  ReducePlan p;
  const TensorImpl& t = *in.impl();
  const int64_t itemsize = static_cast<int64_t>(in.itemsize());
  p.data = t.data();
  p.dtype = t.dtype;
  for (int64_t d = in.dim() - 1; d >= 0; --d) {
    const int64_t size = t.sizes[d], stride = t.strides[d] * itemsize;
    if ((mask >> d) & 1) {
      p.n *= size;
      if (size != 1) p.reduce[p.reduced++] = {size, stride, 0};
    } else {
      if (size != 1) p.keep[p.kept++] = {size, stride, p.outputs};
      p.outputs *= size;
    }
  }
  const bool has_kept = p.kept > 0, has_reduced = p.reduced > 0;
  sort_and_merge(p.keep, p.kept, itemsize);
  sort_and_merge(p.reduce, p.reduced, itemsize);
  p.by_rows = !has_kept || (has_reduced && inner_to(p.reduce[0], {1, p.keep[0].in, 1}));
  return p;
}

}  // namespace norch
