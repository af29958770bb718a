#include "kernels/cpu/vector_math.h"

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/gamma.h"
#include "kernels/cpu/precise.h"
#include "kernels/unary.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Functors for floats alone, with the base that a block function's loop asks for.
#define NORCH_PRECISE(name, function) \
  struct name : Approximate {         \
    float operator()(float x) const { return function(x); } \
  };
NORCH_PRECISE(PreciseExp, precise_exp)
NORCH_PRECISE(PreciseExpm1, precise_expm1)
NORCH_PRECISE(PreciseTanh, precise_tanh)
NORCH_PRECISE(PreciseSinh, precise_sinh)
NORCH_PRECISE(PreciseCosh, precise_cosh)
NORCH_PRECISE(FastSigmoid, fast_sigmoid)
#undef NORCH_PRECISE

inline float any_sin(float x) { return std::sin(x); }
inline float any_cos(float x) { return std::cos(x); }
inline float any_tan(float x) { return std::tan(x); }

/// The block function of a float op for floats.
template <class F>
constexpr Block float_block() {
  if constexpr (std::is_same_v<F, Lgamma>)
    return mostly_block<positive_log_gamma, log_gamma<float>, is_odd>;
  else if constexpr (std::is_same_v<F, Digamma>)
    return mostly_block<positive_digamma, digamma<float>, is_odd>;
  else if constexpr (std::is_same_v<F, Sin>)
    return mostly_block<precise_sin, any_sin, is_far>;
  else if constexpr (std::is_same_v<F, Cos>)
    return mostly_block<precise_cos, any_cos, is_far>;
  else if constexpr (std::is_same_v<F, Tan>)
    return mostly_block<precise_tan, any_tan, is_far>;
  else if constexpr (std::is_same_v<F, Exp>)
    return block1<PreciseExp, float, float>;
  else if constexpr (std::is_same_v<F, Expm1>)
    return block1<PreciseExpm1, float, float>;
  else if constexpr (std::is_same_v<F, Tanh>)
    return block1<PreciseTanh, float, float>;
  else if constexpr (std::is_same_v<F, Sinh>)
    return block1<PreciseSinh, float, float>;
  else if constexpr (std::is_same_v<F, Cosh>)
    return block1<PreciseCosh, float, float>;
  else if constexpr (std::is_same_v<F, Sigmoid>)
    return block1<FastSigmoid, float, float>;
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
