// Elementwise kernels of three inputs.
#pragma once

#include "kernels/kernel.h"
#include "kernels/plan.h"
#include "kernels/scalar_math.h"

namespace norch::kernels {

#define NORCH_TERNARY_NUMBER(X) X(Clamp) X(Addcmul)  // all but bool
#define NORCH_TERNARY_FLOAT(X) X(Lerp) X(Addcdiv)    // floats

enum class TernaryOp : uint8_t {
#define NORCH_NAME(name) name,
  NORCH_TERNARY_NUMBER(NORCH_NAME) NORCH_TERNARY_FLOAT(NORCH_NAME)
#undef NORCH_NAME
};

/// out = op(a, b, c) over a plan of operands {out, a, b, c} of one dtype; beside 16-bit floats a number may be float32.
/// Addcmul and Addcdiv read `value`.
NORCH_KERNEL(ternary, void(TernaryOp op, const Plan& plan, const Scalar& value))

/// out = condition ? a : b over a plan of operands {out, condition, a, b}; condition is bool, the others of one dtype.
NORCH_KERNEL(select, void(const Plan& plan))

inline namespace NORCH_ISA {

// The functors take and give ComputeType values; C is that type. `numbers` says which operands mostly are numbers (bit k:
// operand k of the plan): for those the CPU has a loop of its own.

/// a limited to [b, c]; NaN if any is. With b > c the result is c.
template <class C>
struct Clamp : Exact {
  static constexpr uint32_t numbers = 4 | 8;
  explicit Clamp(const Scalar&) {}
  NORCH_HD C operator()(C a, C b, C c) const {
    const C low = a < b ? b : a, inside = low > c ? c : low;
    return is_nan(b) | is_nan(c) ? wrapping_add(b, c) : inside;
  }
};
/// a + value * b * c.
template <class C>
struct Addcmul : Exact {
  static constexpr uint32_t numbers = 0;
  C value;
  explicit Addcmul(const Scalar& v) : value(v.to<C>()) {}
  NORCH_HD C operator()(C a, C b, C c) const { return multiply_add(wrapping_mul(value, b), c, a); }
};
/// a + c * (b - a), computed from the nearer end.
template <class C>
struct Lerp : Exact {
  static constexpr uint32_t numbers = 8;
  explicit Lerp(const Scalar&) {}
  NORCH_HD C operator()(C a, C b, C c) const {
    const bool near = std::fabs(c) < C(0.5);
    return multiply_add(near ? c : c - C(1), b - a, near ? a : b);
  }
};
/// a + value * b / c.
template <class C>
struct Addcdiv : Exact {
  static constexpr uint32_t numbers = 0;
  C value;
  explicit Addcdiv(const Scalar& v) : value(v.to<C>()) {}
  NORCH_HD C operator()(C a, C b, C c) const { return a + value * b / c; }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
