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

/// The operands that are repeated along dim 0 and of the type of computation (bit k: operand k).
uint32_t repeated_operands(const Plan& plan) {
  uint32_t repeated = 0;
  for (int k = 1; k < plan.operands; ++k) {
    const bool converted = is_floating_point(plan.dtype[k]) && plan.itemsize(k) == 2;
    if (!converted && plan.strides[k][0] == 0) repeated |= 1u << k;
  }
  return repeated;
}

/// block3 with a loop for single elements of the operands F::numbers, which are the last ones.
template <class F, class C>
void numbers_block(char* const* data, int64_t n, uint32_t repeated, const void* context) {
  if (repeated != F::numbers) return block3<F, C, C>(data, n, repeated, context);
  const F f = *static_cast<const F*>(context);
  C* out = reinterpret_cast<C*>(data[0]);
  const C* a = reinterpret_cast<const C*>(data[1]);
  const C* b = reinterpret_cast<const C*>(data[2]);
  const C y = *b, z = *reinterpret_cast<const C*>(data[3]);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i], (F::numbers & 4) ? y : b[i], z);
}

template <class F, class C>
void arithmetic(const Plan& plan, const F& f) {
  if constexpr (F::numbers != 0) {
    if (repeated_operands(plan) == F::numbers) return run_blocks(plan, numbers_block<F, C>, f, true);
  }
  run_blocks(plan, block3<F, C, C>, f);
}

}  // namespace

void ternary(TernaryOp op, const Plan& plan, const Scalar& value) {
  switch (op) {
#define NORCH_CASE(name)                                       \
  case TernaryOp::name:                                        \
    return visit_numbers(#name, plan.dtype[0], [&](auto tag) { \
      using C = ComputeType<typename decltype(tag)::type>;     \
      arithmetic<name<C>, C>(plan, name<C>(value));            \
    });
    NORCH_TERNARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                                       \
  case TernaryOp::name:                                        \
    return visit_float(#name, plan.dtype[0], [&](auto tag) {   \
      using C = ComputeType<typename decltype(tag)::type>;     \
      arithmetic<name<C>, C>(plan, name<C>(value));            \
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
