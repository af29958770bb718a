#include "kernels/special.h"

#include "kernels/cpu/blocks.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// A function of numbers of type C on values of any float type.
template <class First, class... C>
struct Called : HeavyExact {
  First (*f)(First, C...);
  explicit Called(First (*g)(First, C...)) : f(g) {}
  template <class... T>
  auto operator()(T... x) const {
    return static_cast<std::common_type_t<T...>>(f(static_cast<First>(x)...));
  }
};

double (*function_of(SpecialUnary op))(double) {
  switch (op) {
#define NORCH_CASE(name, function) \
  case SpecialUnary::name: return function;
    NORCH_SPECIAL_UNARY(NORCH_CASE)
#undef NORCH_CASE
  }
  return nullptr;
}

double (*function_of(SpecialBinary op))(double, double) {
  switch (op) {
#define NORCH_CASE(name, function) \
  case SpecialBinary::name: return function;
    NORCH_SPECIAL_BINARY(NORCH_CASE)
#undef NORCH_CASE
    default: return nullptr;
  }
}

/// A polynomial in numbers of type T; nullptr for the other functions.
template <class T>
T (*polynomial_of(SpecialBinary op))(T, T) {
  switch (op) {
#define NORCH_CASE(name, function) \
  case SpecialBinary::name: return function<T>;
    NORCH_POLYNOMIALS(NORCH_CASE)
#undef NORCH_CASE
    default: return nullptr;
  }
}

struct Gcd : HeavyExact {
  int64_t operator()(int64_t a, int64_t b) const { return gcd(a, b); }
};
struct Lcm : HeavyExact {
  int64_t operator()(int64_t a, int64_t b) const { return lcm(a, b); }
};

}  // namespace

void special_unary(SpecialUnary op, const Plan& plan) {
  using F = Called<double>;
  run_blocks(plan, plan.dtype[0] == DType::Float64 ? block1<F, double, double> : block1<F, float, float>,
             F(function_of(op)));
}

void special_binary(SpecialBinary op, const Plan& plan) {
  using F = Called<double, double>;
  const bool wide = plan.dtype[0] == DType::Float64;
  if (auto f = polynomial_of<float>(op); f && !wide) {
    using Narrow = Called<float, float>;
    return run_blocks(plan, block2<Narrow, float, float>, Narrow(f));
  }
  const auto f = function_of(op);
  run_blocks(plan, wide ? block2<F, double, double> : block2<F, float, float>, F(f ? f : polynomial_of<double>(op)));
}

void integer_binary(IntegerOp op, const Plan& plan) {
  if (op == IntegerOp::Gcd)
    run_blocks(plan, block2<Gcd, int64_t, int64_t>, Gcd{});
  else
    run_blocks(plan, block2<Lcm, int64_t, int64_t>, Lcm{});
}

}  // namespace norch::kernels::cpu::NORCH_ISA
