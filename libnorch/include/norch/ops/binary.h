// Elementwise ops of two operands: arithmetic, comparison, logic, bits.
//
// Operands broadcast; their dtypes promote as PyTorch's do (a Scalar counts by category only). Operands lie on one
// device, but a 0-d CPU tensor may meet CUDA tensors. The forms ending in `_` write into their first operand: its shape
// and dtype stay, and the result must fit (RuntimeError otherwise).
#pragma once

#include "norch/tensor.h"

namespace norch {

/// a + alpha * b.
NORCH_API Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);
NORCH_API Tensor add_(const Tensor& self, const Tensor& b, const Scalar& alpha = 1);
/// a - alpha * b. \throws Error for bool operands (use logical_xor or bitwise_not).
NORCH_API Tensor sub(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);
NORCH_API Tensor sub_(const Tensor& self, const Tensor& b, const Scalar& alpha = 1);
/// a * b.
NORCH_API Tensor mul(const Tensor& a, const Tensor& b);
NORCH_API Tensor mul_(const Tensor& self, const Tensor& b);
/// a / b, true division: integers give the default float dtype.
NORCH_API Tensor div(const Tensor& a, const Tensor& b);
NORCH_API Tensor div_(const Tensor& self, const Tensor& b);

/// Comparisons give bool.
NORCH_API Tensor eq(const Tensor& a, const Tensor& b);
NORCH_API Tensor ne(const Tensor& a, const Tensor& b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, const Scalar& b) { return add(a, Tensor::wrap(b)); }
inline Tensor operator-(const Tensor& a, const Scalar& b) { return sub(a, Tensor::wrap(b)); }
inline Tensor operator*(const Tensor& a, const Scalar& b) { return mul(a, Tensor::wrap(b)); }
inline Tensor operator/(const Tensor& a, const Scalar& b) { return div(a, Tensor::wrap(b)); }
inline Tensor operator+(const Scalar& a, const Tensor& b) { return add(Tensor::wrap(a), b); }
inline Tensor operator-(const Scalar& a, const Tensor& b) { return sub(Tensor::wrap(a), b); }
inline Tensor operator*(const Scalar& a, const Tensor& b) { return mul(Tensor::wrap(a), b); }
inline Tensor operator/(const Scalar& a, const Tensor& b) { return div(Tensor::wrap(a), b); }

}  // namespace norch
