// Elementwise ops of three operands: selecting, limiting, and fused arithmetic.
//
// Operands broadcast and promote as in ops/binary.h. The forms ending in `_` write into self.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// condition ? a : b. `condition` is bool (or uint8). Gradients: to a where the condition holds, to b elsewhere.
NORCH_API Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
/// x with `value` (0-d, cast to x's dtype) where the bool `mask` holds.
NORCH_API Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
NORCH_API Tensor masked_fill_(const Tensor& self, const Tensor& mask, const Tensor& value);

/// x limited to [min, max]; either may be undefined. NaN stays NaN; where min > max the result is max. Gradients: to x
/// inside, to the limits outside. \throws Error if both are undefined.
NORCH_API Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max);
NORCH_API Tensor clamp_(const Tensor& self, const Tensor& min, const Tensor& max);
NORCH_API Tensor clamp_min(const Tensor& x, const Tensor& min);
NORCH_API Tensor clamp_min_(const Tensor& self, const Tensor& min);
NORCH_API Tensor clamp_max(const Tensor& x, const Tensor& max);
NORCH_API Tensor clamp_max_(const Tensor& self, const Tensor& max);

/// start + weight * (end - start), floats of one dtype (a number as weight takes any).
NORCH_API Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);
NORCH_API Tensor lerp_(const Tensor& self, const Tensor& end, const Tensor& weight);
/// x + value * a * b.
NORCH_API Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value = 1);
NORCH_API Tensor addcmul_(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& value = 1);
/// x + value * a / b. \throws Error for integers.
NORCH_API Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value = 1);
NORCH_API Tensor addcdiv_(const Tensor& self, const Tensor& a, const Tensor& b, const Scalar& value = 1);

}  // namespace norch
