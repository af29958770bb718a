// Normalisation layers. Statistics are computed in at least float32. Weights and biases may be undefined.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last dims, whose sizes are `normalized_shape`; the variance
/// is the biased one. Weight and bias have that shape. \throws Error when shapes do not fit.
NORCH_API Tensor layer_norm(const Tensor& x, Ints normalized_shape, const Tensor& weight = {}, const Tensor& bias = {},
                            double eps = 1e-5);
/// x / sqrt(mean of squares + eps) * weight. Without eps: the machine epsilon of x's dtype.
NORCH_API Tensor rms_norm(const Tensor& x, Ints normalized_shape, const Tensor& weight = {},
                          std::optional<double> eps = {});
/// Normalisation of each channel (dim 1) of (N, C, ...). In `training` with the batch's own mean and biased variance,
/// and running_mean / running_var (if given) move towards the batch's mean and unbiased variance by the share
/// `momentum`; otherwise with those running ones.
/// \throws ValueError in training for a single value per channel, Error when shapes do not fit.
NORCH_API Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                            const Tensor& weight = {}, const Tensor& bias = {}, bool training = false,
                            double momentum = 0.1, double eps = 1e-5);
/// Normalisation of each of `num_groups` groups of channels of each sample of (N, C, ...); weight and bias have one
/// element per channel. \throws Error unless the groups divide the channels.
NORCH_API Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {},
                            double eps = 1e-5);
/// Normalisation of each channel of each sample of (N, C, ...); running statistics as batch_norm's, averaged over
/// samples, and used instead of the input's own without `use_input_stats`.
NORCH_API Tensor instance_norm(const Tensor& x, const Tensor& running_mean = {}, const Tensor& running_var = {},
                               const Tensor& weight = {}, const Tensor& bias = {}, bool use_input_stats = true,
                               double momentum = 0.1, double eps = 1e-5);

}  // namespace norch
