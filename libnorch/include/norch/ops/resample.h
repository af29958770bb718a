// Images at another resolution, and images whose pixels move between space and channels.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "norch/tensor.h"

namespace norch {

/// The input (batch, channels, one to three spatial dims) at another spatial size, given as `size` (one number, or one per
/// dim) or as `scale_factor`, of which exactly one is not empty. Output position o lies at input position
/// (o + 0.5) * in / out - 0.5, or with align_corners at o * (in - 1) / (out - 1).
///
/// mode: "nearest" (the pixel at floor(o * in / out)), "nearest-exact" (the nearest pixel), "linear", "bilinear",
/// "trilinear" (of 1, 2, 3 spatial dims), "bicubic" (2), "lanczos" (2, with antialias), "area" (adaptive_avg_pool).
/// antialias (2 spatial dims) widens the filter when it shrinks the image. recompute_scale_factor computes positions from
/// the sizes, and not from the factor given. Float dtypes, and uint8 (rounded); gradients of any order.
///
///     interpolate(x, {64, 64}, {}, "bilinear");   // (8, 3, 32, 32) -> (8, 3, 64, 64)
///
/// \throws ValueError or NotImplementedError for options that do not go together, Error for empty sizes.
NORCH_API Tensor interpolate(const Tensor& input, Ints size, const std::vector<double>& scale_factor = {},
                             std::string_view mode = "nearest", std::optional<bool> align_corners = {},
                             std::optional<bool> recompute_scale_factor = {}, bool antialias = false);

/// (..., C * r^2, H, W) -> (..., C, H * r, W * r): pixels of r^2 channels become a square.
/// \throws Error for shapes that do not fit.
NORCH_API Tensor pixel_shuffle(const Tensor& input, int64_t upscale_factor);
/// The reverse of pixel_shuffle.
NORCH_API Tensor pixel_unshuffle(const Tensor& input, int64_t downscale_factor);
/// (N, C, ...): the channels, seen as (groups, C / groups), in the order of (C / groups, groups).
NORCH_API Tensor channel_shuffle(const Tensor& input, int64_t groups);

}  // namespace norch
