// Filling with sequences.
#pragma once

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/scalar.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// out[i] = start + i * step for a contiguous out; in int64 for integers.
NORCH_KERNEL(arange, void(const Tensor& out, const Scalar& start, const Scalar& step))
/// out[i] = start + i * (end - start) / (numel - 1), counted from the nearer end; in double for integers.
NORCH_KERNEL(linspace, void(const Tensor& out, double start, double end))

// Both give PyTorch's numbers to the last bit (those of its CPU build, where one thread does the work), so the order of
// rounding below is part of what they compute.

inline namespace NORCH_ISA {

template <class T>
inline constexpr bool kShortFloat = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class T>
struct ArangeAt {
  using Sum = std::conditional_t<std::is_integral_v<T>, int64_t, std::conditional_t<kShortFloat<T>, float, double>>;
  // PyTorch fills vectors of 32 bytes, two at a time: the first number of each is rounded before multiples of the step
  // are added to it. What is left in the end is computed one by one.
  static constexpr int64_t kLanes = 32 / sizeof(T);
  Sum start, step;
  int64_t in_vectors;
  ArangeAt(const Scalar& first, const Scalar& by, int64_t n)
      : start(first.to<Sum>()), step(by.to<Sum>()), in_vectors(n / (2 * kLanes) * (2 * kLanes)) {}
  NORCH_HD T operator()(int64_t i) const {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(start + i * step);
    } else {
      const int64_t lane = i < in_vectors ? i % kLanes : 0;
      const T first = static_cast<T>(static_cast<ComputeType<T>>(std::fma(step, static_cast<Sum>(i - lane), start)));
      if (lane == 0) return first;
      const Sum sum = std::fma(static_cast<Sum>(lane), step, static_cast<Sum>(static_cast<ComputeType<T>>(first)));
      return static_cast<T>(static_cast<ComputeType<T>>(sum));
    }
  }
};

template <class T>
struct LinspaceAt {
  // What numbers are computed in; those of 16 bits are rounded after every operation.
  using Sum = std::conditional_t<std::is_integral_v<T>, double, ComputeType<T>>;
  Sum start, end, step;
  int64_t n;
  LinspaceAt(double first, double last, int64_t count)
      : start(rounded(static_cast<Sum>(first))),
        end(rounded(static_cast<Sum>(last))),
        step(count > 1 ? rounded(rounded(end - start) / rounded(static_cast<Sum>(count - 1))) : 0),
        n(count) {}
  NORCH_HD static Sum rounded(Sum v) {
    if constexpr (kShortFloat<T>)
      return static_cast<Sum>(static_cast<T>(v));
    else
      return v;
  }
  NORCH_HD T operator()(int64_t i) const {
    const bool near_start = i < n / 2 || n == 1;
    const Sum from = near_start ? start : end, by = near_start ? step : -step;
    const Sum steps = rounded(static_cast<Sum>(near_start ? i : n - 1 - i));
    if constexpr (kShortFloat<T>)
      return static_cast<T>(from + rounded(by * steps));
    else
      return static_cast<T>(std::fma(by, steps, from));
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
