// Images sampled at given positions.
#pragma once

#include <string_view>

#include "norch/tensor.h"

namespace norch {

/// The image (N, C, H, W) at the positions `grid` (N, Ho, Wo, 2), whose last dim is (x, y) with -1 and 1 for the image's
/// edges (the centres of its edge pixels with align_corners): (N, C, Ho, Wo). Likewise (N, C, D, H, W) at a grid
/// (N, Do, Ho, Wo, 3) of (x, y, z). mode: "bilinear" (trilinear in 3-d), "nearest", "bicubic" (2-d only). padding_mode,
/// for positions outside: "zeros", "border", "reflection". Differentiable in both. Float dtypes.
///
///     grid_sample(image, affine_grid(theta, {8, 3, 32, 32}));
///
/// \throws ValueError for other modes, Error for shapes and dtypes that do not fit.
NORCH_API Tensor grid_sample(const Tensor& input, const Tensor& grid, std::string_view mode = "bilinear",
                             std::string_view padding_mode = "zeros", bool align_corners = false);

/// The grid of an affine map: theta (N, 2, 3) for `size` (N, C, H, W) gives (N, H, W, 2), theta (N, 3, 4) for
/// (N, C, D, H, W) gives (N, D, H, W, 3). \throws ValueError or NotImplementedError for other shapes.
NORCH_API Tensor affine_grid(const Tensor& theta, Ints size, bool align_corners = false);

}  // namespace norch
