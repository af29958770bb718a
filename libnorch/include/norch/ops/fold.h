// Padding, and windows of images as columns.
#pragma once

#include "norch/tensor.h"

namespace norch {

enum class PaddingMode { constant, reflect, replicate, circular };

/// The last dims grow by pad[0] in front and pad[1] behind of the last dim, pad[2] and pad[3] of the one before, and so
/// on; negative numbers cut off. What is new is `value` (constant), the image mirrored without its edge (reflect), its
/// edge (replicate), or its other side (circular). All modes but constant pad one to three dims.
/// \throws Error for pads that do not fit the shape.
NORCH_API Tensor pad(const Tensor& input, Ints pad, PaddingMode mode = PaddingMode::constant, const Scalar& value = 0);

/// The windows of an image, as convolution takes them, as columns: (batch, channels, h, w) -> (batch, channels * kernel
/// elements, windows); the batch may be left out. \throws Error for shapes that do not fit.
NORCH_API Tensor im2col(const Tensor& input, Ints kernel_size, Ints dilation = {1}, Ints padding = {0}, Ints stride = {1});
/// The sum of such columns at the places in an image of `output_size` that they come from: im2col's adjoint.
NORCH_API Tensor col2im(const Tensor& input, Ints output_size, Ints kernel_size, Ints dilation = {1}, Ints padding = {0},
                        Ints stride = {1});

}  // namespace norch
