// Filling with sequences.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/scalar.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// out[i] = start + i * step for a contiguous out; in int64 for integers, in double for floats.
NORCH_KERNEL(arange, void(const Tensor& out, const Scalar& start, const Scalar& step))
/// out[i] = start + i * (end - start) / (numel - 1), computed in double from the nearer end.
NORCH_KERNEL(linspace, void(const Tensor& out, double start, double end))

inline namespace NORCH_ISA {

template <class T>
struct ArangeAt {
  using Sum = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
  Sum start, step;
  ArangeAt(const Scalar& first, const Scalar& by) : start(first.to<Sum>()), step(by.to<Sum>()) {}
  NORCH_HD T operator()(int64_t i) const { return static_cast<T>(static_cast<ComputeType<T>>(start + i * step)); }
};

template <class T>
struct LinspaceAt {
  double start, end, step;
  int64_t n;
  LinspaceAt(double first, double last, int64_t count)
      : start(first), end(last), step(count > 1 ? (last - first) / static_cast<double>(count - 1) : 0), n(count) {}
  NORCH_HD T operator()(int64_t i) const {
    const bool near_start = i < n / 2 || n == 1;
    const double v =
        near_start ? start + step * static_cast<double>(i) : end - step * static_cast<double>(n - 1 - i);
    return static_cast<T>(static_cast<ComputeType<T>>(v));
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
