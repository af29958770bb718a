// Dropout. Which elements are dropped is drawn from the default generator; it is drawn anew for backward from the same
// numbers, so no mask is stored.
//
// Without `training`, or for p = 0, the result is the input itself. \throws ValueError for p outside [0, 1].
#pragma once

#include "norch/tensor.h"

namespace norch {

/// Zero with probability p, otherwise x / (1 - p).
NORCH_API Tensor dropout(const Tensor& input, double p = 0.5, bool training = true);
NORCH_API Tensor dropout_(const Tensor& self, double p = 0.5, bool training = true);
/// As dropout, but whole channels: one decision for each index of the leading `channel_dims` dims.
NORCH_API Tensor feature_dropout(const Tensor& input, double p, bool training, int64_t channel_dims = 2);
/// Sets elements to SELU's lower bound with probability p, then scales and shifts so that mean 0 and variance 1 stay.
NORCH_API Tensor alpha_dropout(const Tensor& input, double p, bool training);
NORCH_API Tensor feature_alpha_dropout(const Tensor& input, double p, bool training, int64_t channel_dims = 2);

}  // namespace norch
