// Numbers that a dtype can hold.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// \throws Error for a number outside of the range of `type`: PyTorch's rule for what is written into a tensor. Infinities
/// and NaN fit in floats; negative integers down to minus the largest value wrap around in unsigned dtypes.
/// Complex numbers with an imaginary part are left to Scalar::to, which refuses them for real dtypes.
NORCH_API void check_fits(const Scalar& v, DType type);
/// The same for an operand that is a number (`Tensor::wrap`); any other tensor fits.
void check_fits(const Tensor& operand, DType type);

}  // namespace norch
