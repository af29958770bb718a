// Elementwise kernels of two inputs, and the scalar maths of each op, compiled for both devices.
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "kernels/plan.h"

namespace norch::kernels {

/// The ops. Arithmetic ops have inputs and output of one dtype; comparisons give bool.
enum class BinaryOp : uint8_t { Add, Sub, Mul, Div, Eq, Ne };

constexpr bool is_comparison(BinaryOp op) { return op >= BinaryOp::Eq; }

/// out = op(a, b) over a plan of operands {out, a, b}; a and b have the same dtype. Add and Sub multiply b by `alpha`.
NORCH_KERNEL(binary, void(BinaryOp op, const Plan& plan, const Scalar& alpha))

inline namespace NORCH_ISA {

/// The functors take and give ComputeType values.
struct Add {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, bool>) return a || b;
    return static_cast<T>(a + b);
  }
};
struct Sub {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return static_cast<T>(a - b);
  }
};
/// Add with a factor on b.
template <class T>
struct AddScaled {
  T alpha;
  NORCH_HD T operator()(T a, T b) const { return static_cast<T>(a + alpha * b); }
};
struct Mul {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, bool>) return a && b;
    return static_cast<T>(a * b);
  }
};
struct Div {
  template <class T>
  NORCH_HD T operator()(T a, T b) const {
    return static_cast<T>(a / b);
  }
};
struct Eq {
  template <class T>
  NORCH_HD bool operator()(T a, T b) const {
    return a == b;
  }
};
struct Ne {
  template <class T>
  NORCH_HD bool operator()(T a, T b) const {
    return a != b;
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
