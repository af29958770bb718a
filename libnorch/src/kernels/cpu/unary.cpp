#include "kernels/cpu/vector_math.h"

#include "kernels/cpu/blocks.h"
#include "kernels/unary.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class F>
void floats(const Plan& plan, const F& f) {
  // The 16-bit types are computed as float, so that there are two loops only.
  run_blocks(plan, plan.dtype[0] == DType::Float64 ? block1<F, double, double> : block1<F, float, float>, f);
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
