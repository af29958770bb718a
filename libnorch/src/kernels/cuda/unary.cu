#include "kernels/unary.h"

#include "kernels/cuda/functors.cuh"

namespace norch::kernels::cuda {

namespace {

template <class F>
void floats(const Plan& plan, const F& f) {
  visit_float("unary", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    apply<T, T>(plan, f);
  });
}

template <class F>
void tests(const Plan& plan, const F& f) {
  visit_all(plan.dtype[1], [&](auto tag) { apply<bool, typename decltype(tag)::type>(plan, f); });
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
#define NORCH_CASE(name)                                         \
  case UnaryOp::name:                                            \
    return visit_numbers(#name, plan.dtype[0], [&](auto tag) {   \
      using T = typename decltype(tag)::type;                    \
      apply<T, T>(plan, name{});                           \
    });
    NORCH_UNARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                         \
  case UnaryOp::name:                                            \
    return visit_integral(#name, plan.dtype[0], [&](auto tag) {  \
      using T = typename decltype(tag)::type;                    \
      apply<T, T>(plan, name{});                           \
    });
    NORCH_UNARY_BITS(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case UnaryOp::name: return tests(plan, name{});
    NORCH_UNARY_TEST(NORCH_CASE)
#undef NORCH_CASE
  }
}

}  // namespace norch::kernels::cuda
