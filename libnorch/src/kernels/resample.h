// Weighted sums of positions along up to three dims: resampling images, and the adjoint of that.
#pragma once

#include "kernels/narrow_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Along one dim, out[o] = sum over t in [begin[o], begin[o + 1]) of weight[t] * x[index[t]].
struct ResampleDim {
  int64_t in = 1, out = 1;
  Tensor begin, index;  // int32, undefined where the dim stays as it is
  Tensor weight;        // the type in which the elements are computed; undefined: one element with weight 1 each
};

struct Resample {
  int64_t planes = 0;
  ResampleDim dim[3];  // the last ones are used; unused ones have size 1
};

/// `x` (planes, in sizes) and `out` (planes, out sizes) are contiguous, of one float dtype or uint8, and have elements.
/// The sums are taken in float (double for float64) and rounded once; on the CPU in the order of dims 2, 1, 0, where
/// uint8 is rounded after each.
NORCH_NARROW_KERNEL(resample, void(const Resample& r, const Tensor& out, const Tensor& x))

inline namespace NORCH_ISA {

/// A sum as an element: integers take the nearest value that they can hold.
template <class T, class C>
NORCH_HD T resampled(C v) {
  if constexpr (std::is_integral_v<T>) {
    return v <= 0 ? T(0) : v >= 255 ? T(255) : static_cast<T>(v + C(0.5));
  } else {
    return static_cast<T>(v);
  }
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
