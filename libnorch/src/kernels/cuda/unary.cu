// The tests are in unary_tests.cu, so that each file compiles in bearable time.
#include "kernels/cuda/functors.cuh"
#include "kernels/cuda/unary.h"

namespace norch::kernels::cuda {

namespace {

template <class F>
void floats(const Plan& plan, const F& f) {
  visit_float_class("unary", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    apply<T, T>(plan, f);
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
    return visit_number_class(#name, plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;                  \
      apply<T, T>(plan, name{});                               \
    });
    NORCH_UNARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                        \
  case UnaryOp::name:                                           \
    return visit_integral(#name, plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;                   \
      apply<T, T>(plan, name{});                                \
    });
    NORCH_UNARY_BITS(NORCH_CASE)
#undef NORCH_CASE
    default: return unary_tests(op, plan);
  }
}

}  // namespace norch::kernels::cuda
