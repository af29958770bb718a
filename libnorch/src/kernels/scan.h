// Running reductions along a dim.
#pragma once

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/narrow_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// A contiguous tensor seen as (outer, n, inner); the scan runs along n.
struct ScanShape {
  int64_t outer, n, inner;
};

enum class ScanOp : uint8_t { Sum, Prod, LogSumExp };

/// Running reduction from the front, or from the back in `reverse`, of floats or int64; LogSumExp is for floats. `out` has
/// the dtype of `in`.
NORCH_NARROW_KERNEL(scan, void(ScanOp op, const ScanShape& shape, const Tensor& out, const Tensor& in, bool reverse))
/// Running maximum (minimum) and the last index of it.
NORCH_NARROW_KERNEL(scan_select, void(bool largest, const ScanShape& shape, const Tensor& values, const Tensor& indices,
                                      const Tensor& in))
/// out[i] = g[i] + x[i] * out[i -+ 1], floats.
NORCH_NARROW_KERNEL(linear_scan, void(const ScanShape& shape, const Tensor& out, const Tensor& x, const Tensor& g,
                                      bool reverse))

inline namespace NORCH_ISA {

/// log(exp(a) + exp(b)).
template <class A>
NORCH_HD A log_add_exp(A a, A b) {
  const A high = (a > b) | (a != a) ? a : b, low = (a > b) | (a != a) ? b : a;
  if (high == low && high - high != high - high) return high;  // both infinite, of one sign
  return high + std::log1p(std::exp(low - high));
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
