#include "kernels/ternary.h"

#include "kernels/cpu/blocks.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T>
void select_block(char* const* data, int64_t n, uint32_t, const void*) {
  T* out = reinterpret_cast<T*>(data[0]);
  const uint8_t* condition = reinterpret_cast<const uint8_t*>(data[1]);
  const T* a = reinterpret_cast<const T*>(data[2]);
  const T* b = reinterpret_cast<const T*>(data[3]);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = condition[i] ? a[i] : b[i];
}

}  // namespace

void ternary(TernaryOp op, const Plan& plan, const Scalar& value) {
  switch (op) {
#define NORCH_CASE(name)                                       \
  case TernaryOp::name:                                        \
    return visit_numbers(#name, plan.dtype[0], [&](auto tag) { \
      using C = ComputeType<typename decltype(tag)::type>;     \
      run_blocks(plan, block3<name<C>, C, C>, name<C>(value)); \
    });
    NORCH_TERNARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                       \
  case TernaryOp::name:                                        \
    return visit_float(#name, plan.dtype[0], [&](auto tag) {   \
      using C = ComputeType<typename decltype(tag)::type>;     \
      run_blocks(plan, block3<name<C>, C, C>, name<C>(value)); \
    });
    NORCH_TERNARY_FLOAT(NORCH_CASE)
#undef NORCH_CASE
  }
}

void select(const Plan& plan) {
  // Elements are only moved, whatever their type.
  visit_width(plan.dtype[0], [&](auto tag) {
    for_each_block(plan, BlockLoop{select_block<typename decltype(tag)::type>, nullptr, true, kGrain, false});
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
