#include "ops/dtype_views.h"

#include <limits>

#include "norch/autograd.h"
#include "norch/ops/binary.h"

namespace norch {

Tensor in_int64_order(const Tensor& t) {
  if (!is_wide_unsigned(t.dtype())) return t;
  if (t.dtype() != DType::UInt64) return t.to(DType::Int64);
  return bitwise_xor(reinterpreted(t, DType::Int64), Tensor::wrap(std::numeric_limits<int64_t>::min()));
}

Tensor from_int64_order(const Tensor& t, DType type) {
  if (!is_wide_unsigned(type)) return t;
  if (type != DType::UInt64) return t.to(type);
  return reinterpreted(bitwise_xor(t, Tensor::wrap(std::numeric_limits<int64_t>::min())), type);
}

}  // namespace norch
