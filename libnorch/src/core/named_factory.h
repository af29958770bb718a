// Making tensors for ops that users call with sizes.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// As new_tensor (core/factory.h), with errors about the sizes that name `op`.
NORCH_API Tensor new_named(const char* op, Ints sizes, DType dtype, Device device);

}  // namespace norch
