// Elementwise ops of two operands: arithmetic, comparison, logic, bits.
//
// Operands broadcast; their dtypes promote as PyTorch's do (a Scalar counts by category only). Operands lie on one
// device, but a 0-d CPU tensor may meet CUDA tensors. The forms ending in `_` write into their first operand: its shape
// and dtype stay, and the result must fit (RuntimeError otherwise).
#pragma once

#include <optional>
#include <string_view>

#include "norch/tensor.h"

namespace norch {

// ---- Arithmetic.

/// a + alpha * b. \throws Error for a float alpha with integer operands.
NORCH_API Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);
NORCH_API Tensor add_(const Tensor& self, const Tensor& b, const Scalar& alpha = 1);
/// a - alpha * b. \throws Error for bool operands (use logical_xor or bitwise_not).
NORCH_API Tensor sub(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);
NORCH_API Tensor sub_(const Tensor& self, const Tensor& b, const Scalar& alpha = 1);
/// b - alpha * a.
NORCH_API Tensor rsub(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);
/// a * b.
NORCH_API Tensor mul(const Tensor& a, const Tensor& b);
NORCH_API Tensor mul_(const Tensor& self, const Tensor& b);
/// a / b, true division: integers give the default float dtype. With `rounding_mode` "trunc" or "floor" the quotient is
/// rounded towards zero or down, and integers stay integers. \throws Error for another mode, or (on the CPU) for an
/// integer division by zero.
NORCH_API Tensor div(const Tensor& a, const Tensor& b, std::optional<std::string_view> rounding_mode = {});
NORCH_API Tensor div_(const Tensor& self, const Tensor& b, std::optional<std::string_view> rounding_mode = {});
/// a / b rounded down, as Python's //. Not differentiable.
NORCH_API Tensor floor_divide(const Tensor& a, const Tensor& b);
NORCH_API Tensor floor_divide_(const Tensor& self, const Tensor& b);
/// a - b * floor(a / b): the sign is the divisor's, as with Python's %.
NORCH_API Tensor remainder(const Tensor& a, const Tensor& b);
NORCH_API Tensor remainder_(const Tensor& self, const Tensor& b);
/// a - b * trunc(a / b): the sign is the dividend's, as with C's %.
NORCH_API Tensor fmod(const Tensor& a, const Tensor& b);
NORCH_API Tensor fmod_(const Tensor& self, const Tensor& b);
/// a to the power b. \throws Error for integers to a negative integer number.
NORCH_API Tensor pow(const Tensor& a, const Tensor& b);
NORCH_API Tensor pow_(const Tensor& self, const Tensor& b);
/// As pow, in float64.
NORCH_API Tensor float_power(const Tensor& a, const Tensor& b);
NORCH_API Tensor float_power_(const Tensor& self, const Tensor& b);

// ---- Functions of two numbers.

/// The angle of the point (b, a). Integers give the default float dtype.
NORCH_API Tensor atan2(const Tensor& a, const Tensor& b);
NORCH_API Tensor atan2_(const Tensor& self, const Tensor& b);
/// sqrt(a * a + b * b) without overflow; floats only.
NORCH_API Tensor hypot(const Tensor& a, const Tensor& b);
NORCH_API Tensor hypot_(const Tensor& self, const Tensor& b);
/// |a| with the sign of b. Integers give the default float dtype.
NORCH_API Tensor copysign(const Tensor& a, const Tensor& b);
NORCH_API Tensor copysign_(const Tensor& self, const Tensor& b);
/// The next number after a towards b; floats only. The gradient passes to a.
NORCH_API Tensor nextafter(const Tensor& a, const Tensor& b);
NORCH_API Tensor nextafter_(const Tensor& self, const Tensor& b);
/// The larger (smaller) number; NaN if either is. Where a == b each gets half the gradient.
NORCH_API Tensor maximum(const Tensor& a, const Tensor& b);
NORCH_API Tensor minimum(const Tensor& a, const Tensor& b);
/// The larger (smaller) number; NaN only if both are.
NORCH_API Tensor fmax(const Tensor& a, const Tensor& b);
NORCH_API Tensor fmin(const Tensor& a, const Tensor& b);
/// log(exp(a) + exp(b)) and log2(2^a + 2^b) without overflow; floats only.
NORCH_API Tensor logaddexp(const Tensor& a, const Tensor& b);
NORCH_API Tensor logaddexp2(const Tensor& a, const Tensor& b);
/// a * log(b), 0 where a == 0 (unless b is NaN). Integers give the default float dtype.
NORCH_API Tensor xlogy(const Tensor& a, const Tensor& b);
NORCH_API Tensor xlogy_(const Tensor& self, const Tensor& b);

// ---- Comparisons and logic, to bool. The in-place forms store 0 or 1 in self's dtype.

/// a == b.
NORCH_API Tensor eq(const Tensor& a, const Tensor& b);
NORCH_API Tensor eq_(const Tensor& self, const Tensor& b);
/// a != b.
NORCH_API Tensor ne(const Tensor& a, const Tensor& b);
NORCH_API Tensor ne_(const Tensor& self, const Tensor& b);
/// a < b.
NORCH_API Tensor lt(const Tensor& a, const Tensor& b);
NORCH_API Tensor lt_(const Tensor& self, const Tensor& b);
/// a <= b.
NORCH_API Tensor le(const Tensor& a, const Tensor& b);
NORCH_API Tensor le_(const Tensor& self, const Tensor& b);
/// a > b.
NORCH_API Tensor gt(const Tensor& a, const Tensor& b);
NORCH_API Tensor gt_(const Tensor& self, const Tensor& b);
/// a >= b.
NORCH_API Tensor ge(const Tensor& a, const Tensor& b);
NORCH_API Tensor ge_(const Tensor& self, const Tensor& b);
/// (a != 0) and (b != 0).
NORCH_API Tensor logical_and(const Tensor& a, const Tensor& b);
NORCH_API Tensor logical_and_(const Tensor& self, const Tensor& b);
/// (a != 0) or (b != 0).
NORCH_API Tensor logical_or(const Tensor& a, const Tensor& b);
NORCH_API Tensor logical_or_(const Tensor& self, const Tensor& b);
/// (a != 0) != (b != 0).
NORCH_API Tensor logical_xor(const Tensor& a, const Tensor& b);
NORCH_API Tensor logical_xor_(const Tensor& self, const Tensor& b);
/// |a - b| <= atol + rtol * |b|, or equal (infinities), or with `equal_nan` both NaN. \throws Error for differing dtypes.
NORCH_API Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
                         bool equal_nan = false);
/// Whether all elements are close; waits for the device.
NORCH_API bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
                        bool equal_nan = false);
/// Whether shapes and all elements are equal (NaN is not); waits for the device.
NORCH_API bool equal(const Tensor& a, const Tensor& b);

// ---- Bits. \throws NotImplementedError for floats (and shifts of bool).

/// a & b.
NORCH_API Tensor bitwise_and(const Tensor& a, const Tensor& b);
NORCH_API Tensor bitwise_and_(const Tensor& self, const Tensor& b);
/// a | b.
NORCH_API Tensor bitwise_or(const Tensor& a, const Tensor& b);
NORCH_API Tensor bitwise_or_(const Tensor& self, const Tensor& b);
/// a ^ b.
NORCH_API Tensor bitwise_xor(const Tensor& a, const Tensor& b);
NORCH_API Tensor bitwise_xor_(const Tensor& self, const Tensor& b);
/// a * 2^b; shifted by the width or more: 0.
NORCH_API Tensor bitwise_left_shift(const Tensor& a, const Tensor& b);
NORCH_API Tensor bitwise_left_shift_(const Tensor& self, const Tensor& b);
/// a / 2^b rounded down; shifted by the width or more: 0, or -1 for a < 0.
NORCH_API Tensor bitwise_right_shift(const Tensor& a, const Tensor& b);
NORCH_API Tensor bitwise_right_shift_(const Tensor& self, const Tensor& b);

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
