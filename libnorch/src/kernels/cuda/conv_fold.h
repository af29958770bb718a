// Convolutions of few channels as convolutions of more channels and fewer taps, which fill the tensor cores.
//
// A product on the tensor cores takes the channels of one tap at a time, many of them: a 7x7 kernel over 3 channels leaves
// most of it to zeros. Folding moves taps into channels. Along one dim, with stride s, k taps and blocks of r of them,
//
//   x'[b, (j, c)] = x[b s + j - pad, c]    w'[q, (j, c)] = w[q r + j, c]     0 <= j < r, zero outside x and w
//   y[p] = sum over t, c of w[t, c] x[p s + t - pad, c] = sum over q, j, c of w'[q, (j, c)] x'[p + q, (j, c)]
//
// which is a convolution of stride 1 without padding. The last equation needs q r = q s for each block q: r = s (blocks of
// pixels: "space to depth") or r = k (all taps in one block, which overlap if k > s). Each result is the same sum in
// another order.
#pragma once

#include <optional>

#include "kernels/conv.h"

namespace norch::kernels::cuda {

/// What a convolution is folded to.
struct Folded {
  Conv conv;        // of the folded tensors, laid out as the original ones
  int64_t block[3];  // r for each dim

  /// x' or w', new.
  Tensor input(const Conv& original, const Tensor& x) const;
  Tensor weight(const Conv& original, const Tensor& w) const;
  /// From a gradient of x' or w' that of x or w: the element that each one of them went to. For x only if no blocks
  /// overlap.
  void unfold_input(const Conv& original, const Tensor& gx, const Tensor& folded) const;
  void unfold_weight(const Conv& original, const Tensor& gw, const Tensor& folded) const;
  /// Shapes of x' and w', and a new tensor of the layout of the convolution.
  Tensor new_input(const Tensor& like) const;
  Tensor new_weight(const Tensor& like) const;
};

/// The best way to fold a convolution of 16-bit floats, by an estimate of the time of its arithmetic and of the bytes
/// moved, or nothing where that saves too little. `overlapping`: blocks may overlap, so that x' holds elements of x
/// repeatedly.
std::optional<Folded> fold(const Conv& conv, DType dtype, bool overlapping);

}  // namespace norch::kernels::cuda
