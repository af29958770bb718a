// What Tensor::to tells autograd, for who converts by other means.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// Records that `out`, which nothing has used yet, holds the values of `t` in its own dtype, on its own device.
void record_conversion(const Tensor& out, const Tensor& t);

}  // namespace norch
