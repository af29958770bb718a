// isclose, allclose, equal.
#include "norch/ops/binary.h"
#include "norch/ops/reduce.h"
#include "norch/ops/unary.h"
#include "norch/autograd.h"
#include "ops/elementwise.h"

namespace norch {

namespace {
bool all_true(const Tensor& t) {
  autograd::NoGrad off;
  return sum(logical_not(t)).item<int64_t>() == 0;
}
}  // namespace

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  NORCH_CHECK(a.dtype() == b.dtype(), "isclose: ", a.dtype(), " did not match ", b.dtype(),
              "; convert one with .to(dtype)");
  NORCH_CHECK(rtol >= 0, "isclose: rtol must be greater than or equal to zero, but got ", rtol);
  NORCH_CHECK(atol >= 0, "isclose: atol must be greater than or equal to zero, but got ", atol);
  broadcast_shapes(a.sizes(), b.sizes(), "isclose");
  autograd::NoGrad off;
  Tensor close = eq(a, b);
  if (equal_nan && is_differentiable(a.dtype())) close = logical_or(close, logical_and(isnan(a), isnan(b)));
  if (rtol == 0 && atol == 0) return close;
  const DType type = float_type(a.dtype());
  const Tensor x = a.to(type), y = b.to(type);
  const Tensor difference = abs(x - y), allowed = abs(y * rtol) + atol;
  return logical_or(close, logical_and(isfinite(difference), le(difference, allowed)));
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  return all_true(isclose(a, b, rtol, atol, equal_nan));
}

bool equal(const Tensor& a, const Tensor& b) {
  common_device("equal", {a, b});
  return a.sizes() == b.sizes() && all_true(eq(a, b));
}

}  // namespace norch
