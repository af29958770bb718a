// Reductions: the kernels, and the scalar maths of each, compiled for both devices.
//
// The order in which elements are combined depends on shapes only: rows are cut into chunks of fixed size, chunks are
// combined in order, and threads only decide who computes which chunk.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/dispatch.h"
#include "kernels/narrow_kernel.h"
#include "kernels/reduce_plan.h"

namespace norch::kernels {

enum class ReduceOp : uint8_t { Sum, Prod, Max, Min };
enum class NormOp : uint8_t { NanSum, SumAbs, SumSquares, SumPow, MaxAbs, MinAbs };
enum class TestOp : uint8_t { Any, All, CountNonzero };

struct ReduceArgs {
  double p = 1;      // SumPow: the exponent;
  double scale = 1;  // the result is multiplied by this,
  double root = 1;   // and then raised to 1 / root
};

/// out[...] = op over the plan's reduced dims. `out` is contiguous, of the plan's kept dims; its dtype is the input's or
/// its SumType (sums and products never give bool).
NORCH_KERNEL(reduce, void(ReduceOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args))
/// As reduce, for floats.
NORCH_KERNEL(reduce_norm, void(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args))
/// Whether any or all elements are not zero (out: bool or uint8), or how many (out: int64).
NORCH_NARROW_KERNEL(reduce_any_all, void(TestOp op, const ReducePlan& plan, const Tensor& out))

/// The largest (or smallest) element and the first index at which it is, over the one reduced dim; NaN counts as
/// larger (smaller) than any number. Either of `values` and `indices` (int64) may be undefined.
NORCH_KERNEL(reduce_select, void(bool largest, const ReducePlan& plan, const Tensor& values, const Tensor& indices))

/// Mean and variance of floats in one pass. `var` becomes the sum of squared deviations over (n - correction), its
/// square root with `root`, or 1/sqrt(that + eps) with `eps` >= 0. Either may be undefined; both have the input's dtype
/// or float32.
struct MomentsArgs {
  double correction = 1;
  bool root = false;
  double eps = -1;
};
NORCH_KERNEL(moments, void(const ReducePlan& plan, const Tensor& mean, const Tensor& var, const MomentsArgs& args))

inline namespace NORCH_ISA {

/// Each op: the value of nothing, one more element, and two parts joined. A is the accumulator's type, C the type in
/// which elements are computed.
template <class A>
struct SumOf {
  NORCH_HD A identity() const { return A(0); }
  template <class C>
  NORCH_HD A step(A a, C x) const { return a + static_cast<A>(x); }
  NORCH_HD A join(A a, A b) const { return a + b; }
};
template <class A>
struct NanSumOf : SumOf<A> {
  template <class C>
  NORCH_HD A step(A a, C x) const { return a + (x == x ? static_cast<A>(x) : A(0)); }
};
template <class A>
struct ProdOf {
  NORCH_HD A identity() const { return A(1); }
  template <class C>
  NORCH_HD A step(A a, C x) const { return a * static_cast<A>(x); }
  NORCH_HD A join(A a, A b) const { return a * b; }
};

template <class A>
NORCH_HD constexpr A lowest_of() {
  if constexpr (std::is_floating_point_v<A>)
    return -std::numeric_limits<A>::infinity();
  else
    return std::numeric_limits<A>::lowest();
}
template <class A>
NORCH_HD constexpr A highest_of() {
  if constexpr (std::is_floating_point_v<A>)
    return std::numeric_limits<A>::infinity();
  else
    return std::numeric_limits<A>::max();
}
/// NaN wins over every number and stays.
template <class A>
struct MaxOf {
  NORCH_HD A identity() const { return lowest_of<A>(); }
  NORCH_HD A step(A a, A x) const { return (x > a) | (x != x) ? x : a; }
  NORCH_HD A join(A a, A b) const { return step(a, b); }
};
template <class A>
struct MinOf {
  NORCH_HD A identity() const { return highest_of<A>(); }
  NORCH_HD A step(A a, A x) const { return (x < a) | (x != x) ? x : a; }
  NORCH_HD A join(A a, A b) const { return step(a, b); }
};

template <class A>
struct SumAbsOf : SumOf<A> {
  template <class C>
  NORCH_HD A step(A a, C x) const { return a + static_cast<A>(x < C(0) ? -x : x); }
};
template <class A>
struct SumSquaresOf : SumOf<A> {
  template <class C>
  NORCH_HD A step(A a, C x) const { return a + static_cast<A>(x) * static_cast<A>(x); }
};
template <class A>
struct SumPowOf : SumOf<A> {
  A p;
  explicit SumPowOf(double exponent) : p(static_cast<A>(exponent)) {}
  template <class C>
  NORCH_HD A step(A a, C x) const { return a + static_cast<A>(std::pow(static_cast<A>(x < C(0) ? -x : x), p)); }
};
template <class A>
struct MaxAbsOf {
  NORCH_HD A identity() const { return A(0); }
  NORCH_HD A step(A a, A x) const { return MaxOf<A>{}.step(a, x < A(0) ? -x : x); }
  NORCH_HD A join(A a, A b) const { return MaxOf<A>{}.step(a, b); }
};
template <class A>
struct MinAbsOf {
  NORCH_HD A identity() const { return highest_of<A>(); }
  NORCH_HD A step(A a, A x) const { return MinOf<A>{}.step(a, x < A(0) ? -x : x); }
  NORCH_HD A join(A a, A b) const { return MinOf<A>{}.step(a, b); }
};

/// An element that is only compared with zero: any integer type of its width, or these for the 16-bit floats.
struct FloatBits16 {
  uint16_t bits;
  NORCH_HD operator uint16_t() const { return bits & 0x7FFF; }
};
/// Calls f(TypeTag<T>) with a type that is zero where an element of dtype `t` is. \throws NotImplementedError for
/// complex types.
template <class F>
void visit_zeroness(DType t, F&& f) {
  switch (t) {
    case DType::Float16:
    case DType::BFloat16: return f(TypeTag<FloatBits16>{});
    case DType::Float32: return f(TypeTag<float>{});
    case DType::Float64: return f(TypeTag<double>{});
    default:
      if (is_complex(t)) norch::detail::no_kernel_for(t);
      return visit_width(t, [&](auto tag) {
        if constexpr (sizeof(typename decltype(tag)::type) <= 8) f(tag);
      });
  }
}

/// A value and where it was first seen; index -1 stands for nothing seen yet.
template <class C>
struct Found {
  C value;
  int64_t index;
};
template <bool kLargest, class C>
NORCH_HD bool beats(C x, C best) {
  return (kLargest ? x > best : x < best) | ((x != x) & (best == best));
}

/// Count, mean and sum of squared deviations of a part, and Chan's rule for two parts.
template <class A>
struct MomentsOf {
  A n, mean, m2;
  NORCH_HD MomentsOf join(const MomentsOf& o) const {
    if (o.n == A(0)) return *this;
    if (n == A(0)) return o;
    const A total = n + o.n, delta = o.mean - mean, share = o.n / total;
    return {total, mean + delta * share, m2 + o.m2 + delta * delta * n * share};
  }
};

/// Applies ReduceArgs' scale and root.
template <class A>
NORCH_HD A finish_value(A a, double scale, double root) {
  if constexpr (std::is_floating_point_v<A>) {
    if (scale != 1) a = static_cast<A>(a * scale);
    if (root == 2) return static_cast<A>(std::sqrt(a));
    if (root != 1) return static_cast<A>(std::pow(static_cast<double>(a), 1 / root));
  }
  return a;
}
/// The second result of the moments kernel.
template <class A>
NORCH_HD A finish_moments(const MomentsOf<A>& m, double n, const MomentsArgs& args) {
  const double degrees = n - args.correction;
  const A var = m.m2 / static_cast<A>(degrees > 0 ? degrees : 0);
  if (args.eps >= 0) return static_cast<A>(1 / std::sqrt(var + static_cast<A>(args.eps)));
  return args.root ? static_cast<A>(std::sqrt(var)) : var;
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels

namespace norch {
template <>
struct ComputeTypeOf<kernels::FloatBits16> {
  using type = uint16_t;
};
}  // namespace norch
