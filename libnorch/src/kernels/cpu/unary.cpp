#include "kernels/cpu/vector_math.h"

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/gamma.h"
#include "kernels/unary.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// The block function of a float op for floats.
template <class F>
constexpr Block float_block() {
  if constexpr (std::is_same_v<F, Lgamma>)
    return positive_block<positive_log_gamma, log_gamma<float>>;
  else if constexpr (std::is_same_v<F, Digamma>)
    return positive_block<positive_digamma, digamma<float>>;
  else
    return block1<F, float, float>;
}

template <class F>
void floats(const Plan& plan, const F& f) {
  // The 16-bit types are computed as float, so that there are two loops only.
  run_blocks(plan, plan.dtype[0] == DType::Float64 ? block1<F, double, double> : float_block<F>(), f);
}

template <class F>
void tests(const Plan& plan, const F& f) {
  visit_all(plan.dtype[1], [&](auto tag) {
    run_blocks(plan, block1<F, bool, ComputeType<typename decltype(tag)::type>>, f);
  });
}

}  // namespace

void unary(UnaryOp op, const Plan& plan, const Parameters& p) {
  switch (op) {
#define NORCH_CASE(name) \
  case UnaryOp::name: return floats(plan, name{});
    NORCH_UNARY_FLOAT(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case UnaryOp::name: return floats(plan, name(p));
    NORCH_UNARY_FLOAT_PARAMETERS(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                       \
  case UnaryOp::name:                                          \
    return visit_numbers(#name, plan.dtype[0], [&](auto tag) { \
      using C = ComputeType<typename decltype(tag)::type>;     \
      run_blocks(plan, block1<name, C, C>, name{});            \
    });
    NORCH_UNARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                        \
  case UnaryOp::name:                                           \
    return visit_integral(#name, plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;                   \
      run_blocks(plan, block1<name, T, T>, name{});             \
    });
    NORCH_UNARY_BITS(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case UnaryOp::name: return tests(plan, name{});
    NORCH_UNARY_TEST(NORCH_CASE)
#undef NORCH_CASE
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
