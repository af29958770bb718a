// Windows of an image as columns, the sums of such columns, and borders made of the image itself.
#pragma once

#include "kernels/conv.h"

namespace norch::kernels {

// Every tensor is contiguous and has elements; both have one dtype: any for unfold_patches, otherwise a float.

/// out[n, c * taps + t, p] = x[n, c, position of tap t of window p], zero outside. The geometry is a convolution's with
/// c_in channels and one group.
NORCH_KERNEL(unfold_patches, void(const Conv& conv, const Tensor& out, const Tensor& x))
/// The sum of the columns at the positions they come from: the adjoint of unfold_patches.
NORCH_KERNEL(fold_patches, void(const Conv& conv, const Tensor& out, const Tensor& columns))

enum class PadMode : uint8_t { Reflect, Replicate, Circular };

/// The last three dims of `planes` images grow from `in` to `out`, by `before` in front.
struct Pad {
  PadMode mode = PadMode::Reflect;
  int64_t planes = 0;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, before[3] = {0, 0, 0};
};

/// out[o] = x[pad_source(o)].
NORCH_KERNEL(pad_border, void(const Pad& pad, const Tensor& out, const Tensor& x))
/// gx[i] = sum of g[o] over the o with pad_source(o) == i.
NORCH_KERNEL(pad_border_backward, void(const Pad& pad, const Tensor& gx, const Tensor& g))

inline namespace NORCH_ISA {

/// The input position along dim d that output position o shows.
NORCH_HD int64_t pad_source(const Pad& p, int d, int64_t o) {
  int64_t i = o - p.before[d];
  const int64_t n = p.in[d];
  switch (p.mode) {
    case PadMode::Reflect: return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
    case PadMode::Replicate: return i < 0 ? 0 : i >= n ? n - 1 : i;
    default: return i < 0 ? i + n : i >= n ? i - n : i;
  }
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
