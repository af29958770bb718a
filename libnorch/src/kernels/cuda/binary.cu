// The arithmetic ops; binary_math.cu and binary_compare.cu hold the rest, so that each compiles in bearable time.
#include "kernels/binary.h"

#include <algorithm>
#include <cstring>

#include "kernels/cuda/binary.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

/// factor * x + shift: sums and products of 16-bit floats with a number, which stays float32.
struct Affine {
  float factor, shift;
  __device__ float operator()(float x) const { return factor * x + shift; }
};

/// The operand that is a float32 number beside 16-bit floats, or 0.
int wide_number(const Plan& p) {
  if (!is_floating_point(p.dtype[0]) || itemsize(p.dtype[0]) != 2) return 0;
  return p.dtype[1] == DType::Float32 ? 1 : p.dtype[2] == DType::Float32 ? 2 : 0;
}

/// Mul, Add and Sub of such a plan, where the tensor takes part `factor` times; `shift` is what the number adds.
void affine(const Plan& plan, int number, float factor, float shift) {
  Plan one = plan;
  if (number == 1) {
    one.data[1] = plan.data[2];
    one.dtype[1] = plan.dtype[2];
    std::copy_n(plan.strides[2], plan.ndim, one.strides[1]);
  }
  one.operands = 2;
  one.immediates = 0;
  elementwise<AnyFloat, AnyFloat>(one, Affine{factor, shift});
}

float number_of(const Plan& plan, int operand) {
  float v;
  std::memcpy(&v, plan.data[operand], sizeof v);
  return v;
}

template <class F>
void scaled(const Plan& plan, const F& f, const Scalar& alpha, bool negate) {
  if (const int k = wide_number(plan)) {
    const float v = number_of(plan, k), times = negate ? -alpha.to<float>() : alpha.to<float>();
    return k == 1 ? affine(plan, k, times, v) : affine(plan, k, 1, times * v);
  }
  visit_all(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C factor = alpha.to<C>();
    if (factor == C(1)) return elementwise<T, T, T>(plan, f);
    elementwise<T, T, T>(plan, AddScaled<C>(negate ? wrapping_sub(C(0), factor) : factor));
  });
}

/// float32 plus a 16-bit float, in either order.
void add_mixed(const Plan& plan) {
  Plan p = plan;
  if (p.dtype[1] != DType::Float32) {
    std::swap(p.data[1], p.data[2]);
    std::swap(p.dtype[1], p.dtype[2]);
    std::swap(p.strides[1], p.strides[2]);
  }
  if (p.dtype[2] == DType::BFloat16)
    elementwise<float, float, BFloat16>(p, Add{});
  else
    elementwise<float, float, Half>(p, Add{});
}

}  // namespace

void binary(BinaryOp op, const Plan& plan, const Scalar& alpha) {
  if (op == BinaryOp::Mul)
    if (const int k = wide_number(plan)) return affine(plan, k, number_of(plan, k), -0.0f);  // -0 keeps every sign
  switch (op) {
#define NORCH_CASE(name)                            \
  case BinaryOp::name:                              \
    return visit_all(plan.dtype[0], [&](auto tag) { \
      using T = typename decltype(tag)::type;       \
      elementwise<T, T, T>(plan, name{});           \
    });
    NORCH_BINARY_ANY(NORCH_CASE)
#undef NORCH_CASE
    case BinaryOp::Add:
      if (plan.dtype[0] == DType::Float32 && plan.dtype[1] != plan.dtype[2]) return add_mixed(plan);
      return scaled(plan, Add{}, alpha, false);
    case BinaryOp::Sub: return scaled(plan, Sub{}, alpha, true);
    default: break;
  }
  if (is_comparison(op))
    binary_compare(op, plan);
  else
    binary_math(op, plan);
}

}  // namespace norch::kernels::cuda
