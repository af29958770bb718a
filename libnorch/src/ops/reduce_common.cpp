#include "ops/reduce_common.h"

namespace norch {

ReducedDims reduced_dims(const char* op, const Tensor& t, Ints dims, bool keepdim) {
  ReducedDims r;
  const int64_t ndim = t.dim();
  for (int64_t d : dims) {
    const uint64_t bit = uint64_t{1} << wrap_dim(d, ndim, op);
    NORCH_CHECK(!(r.mask & bit), op, ": dim ", d, " appears multiple times in the list of dims");
    r.mask |= bit;
  }
  if (dims.empty()) r.mask = ~uint64_t{0};
  r.ones = Shape(t.sizes());
  for (int64_t d = 0; d < ndim; ++d) {
    const int64_t size = r.ones[d];
    if ((r.mask >> d) & 1) {
      r.n *= size;
      r.ones[d] = 1;
      if (keepdim) r.out.push_back(1);
    } else {
      r.out.push_back(size);
    }
  }
  return r;
}

void check_not_empty(const char* op, const Tensor& t, const ReducedDims& d, bool all) {
  if (t.numel() != 0) return;
  NORCH_CHECK(!all, op, "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
              "with the 'dim' argument.");
  for (int64_t i = 0; i < t.dim(); ++i)
    NORCH_CHECK_INDEX(!((d.mask >> i) & 1) || t.sizes()[i] != 0, op, "(): Expected reduction dim ", i,
                      " to have non-zero size.");
}

}  // namespace norch
