// Copying, casting, moving between devices. (Tensor::to, clone and contiguous are declared in tensor.h.)
#pragma once

#include "norch/tensor.h"

namespace norch {

/// Writes `src`, broadcast and cast, into `self`; any devices. Gradient: to src.
NORCH_API Tensor copy_(const Tensor& self, const Tensor& src);
/// As copy_, below autograd: no checks of history, no version count. `dst` must not overlap itself.
NORCH_API void copy_into(const Tensor& dst, const Tensor& src);

}  // namespace norch
