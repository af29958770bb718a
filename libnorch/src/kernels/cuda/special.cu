#include "kernels/special.h"

#include "kernels/cuda/functors.cuh"

namespace norch::kernels::cuda {

namespace {

// The op is chosen in the kernel: one kernel for each dtype, not for each op and dtype.
struct Unary : Heavy {
  SpecialUnary op;
  explicit Unary(SpecialUnary o) : op(o) {}
  template <class T>
  __device__ T operator()(T x) const {
    const double v = static_cast<double>(x);
    switch (op) {
#define NORCH_CASE(name, function) \
  case SpecialUnary::name: return static_cast<T>(function(v));
      NORCH_SPECIAL_UNARY(NORCH_CASE)
#undef NORCH_CASE
    }
    return x;
  }
};

struct BinaryFunction : Heavy {
  SpecialBinary op;
  explicit BinaryFunction(SpecialBinary o) : op(o) {}
  template <class T>
  __device__ T operator()(T x, T y) const {
    const double a = static_cast<double>(x), b = static_cast<double>(y);
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const C p = static_cast<C>(x), q = static_cast<C>(y);
    switch (op) {
#define NORCH_CASE(name, function) \
  case SpecialBinary::name: return static_cast<T>(function(a, b));
      NORCH_SPECIAL_BINARY(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name, function) \
  case SpecialBinary::name: return static_cast<T>(function<C>(p, q));
      NORCH_POLYNOMIALS(NORCH_CASE)
#undef NORCH_CASE
    }
    return x;
  }
};

struct Integer : HeavyExact {
  IntegerOp op;
  explicit Integer(IntegerOp o) : op(o) {}
  __device__ int64_t operator()(int64_t a, int64_t b) const { return op == IntegerOp::Gcd ? gcd(a, b) : lcm(a, b); }
};

}  // namespace

void special_unary(SpecialUnary op, const Plan& plan) {
  visit_float("special", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    apply<T, T>(plan, Unary(op));
  });
}

void special_binary(SpecialBinary op, const Plan& plan) {
  visit_float("special", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    apply<T, T, T>(plan, BinaryFunction(op));
  });
}

void integer_binary(IntegerOp op, const Plan& plan) { apply<int64_t, int64_t, int64_t>(plan, Integer(op)); }

}  // namespace norch::kernels::cuda
