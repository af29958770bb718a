#include "norch/ops/reduce.h"

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/reduce.h"
#include "norch/ops/view.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;

namespace {

Tensor sum_dim(const Tensor& t, int64_t dim, DType type) {
  const Tensor x = t.contiguous();
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < dim; ++i) outer *= x.sizes()[i];
  for (int64_t i = dim + 1; i < x.dim(); ++i) inner *= x.sizes()[i];
  Shape shape(x.sizes());
  const int64_t n = shape[dim];
  shape[dim] = 1;
  Tensor out = new_tensor(shape, type, x.device());
  kernels::sum(x.device(), out, x, outer, n, inner);
  return out;
}

}  // namespace

Tensor sum(const Tensor& t, Ints dims, bool keepdim, std::optional<DType> dtype) {
  const DType type = dtype ? *dtype : is_integral(t.dtype(), true) ? DType::Int64 : t.dtype();
  if (is_floating_point(type) ? t.dtype() != type : is_floating_point(t.dtype()))
    return sum(t.to(type), dims, keepdim);
  uint64_t reduced = 0;
  for (int64_t d : dims) {
    const uint64_t bit = uint64_t{1} << wrap_dim(d, t.dim());
    NORCH_CHECK(!(reduced & bit), "sum: dim ", d, " appears multiple times in the list of dims");
    reduced |= bit;
  }
  if (dims.empty()) reduced = ~uint64_t{0};
  Tensor out = t.detach();
  Shape kept;
  for (int64_t d = 0; d < t.dim(); ++d) {
    if ((reduced >> d) & 1)
      out = sum_dim(out, d, type);
    else
      kept.push_back(t.sizes()[d]);
  }
  if (t.dim() == 0) out = t.to(type).clone();
  if (!keepdim) out = reshape(out, kept).detach();
  if (recording(t)) {
    Shape ones(t.sizes());
    for (int64_t d = 0; d < t.dim(); ++d)
      if ((reduced >> d) & 1) ones[d] = 1;
    record("SumBackward1", {t}, {out}, [ones, from = Shape(t.sizes())](Backward& ctx) {
      ctx.set(0, expand(reshape(ctx.grad(), ones), from));
    });
  }
  return out;
}

Tensor sum_to_size(const Tensor& t, Ints sizes) {
  Shape dims;
  const int64_t extra = t.dim() - static_cast<int64_t>(sizes.size());
  NORCH_CHECK(extra >= 0, "sum_to_size: size ", sizes, " is not expandable to size ", t.sizes());
  for (int64_t d = 0; d < t.dim(); ++d) {
    const int64_t want = d < extra ? 1 : sizes[d - extra];
    NORCH_CHECK(want == t.sizes()[d] || want == 1, "sum_to_size: size ", sizes, " is not expandable to size ",
                t.sizes());
    if (d < extra || (want == 1 && t.sizes()[d] != 1)) dims.push_back(d);
  }
  if (dims.empty()) return t;
  return reshape(sum(t, dims, true), sizes);
}

}  // namespace norch
