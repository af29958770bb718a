#include "kernels/cpu/vector_math.h"

#include "kernels/binary.h"
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/precise.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

// One loop serves several types of a byte, so that fewer are compiled: bool is computed as the numbers 0 and 1, where
// that gives 0 or 1 again, and int8 as uint8, where the sign makes no difference.

template <class F, class... Of>
inline constexpr bool is_one_of = (std::is_same_v<F, Of> || ...);
template <class F>
inline constexpr bool adds = is_one_of<F, Add, Sub>;
template <class C>
inline constexpr bool adds<AddScaled<C>> = true;
template <class F>
inline constexpr bool ignores_sign = adds<F> || is_one_of<F, Mul, BitwiseAnd, BitwiseOr, BitwiseXor, Eq, Ne, LogicalAnd,
                                                          LogicalOr, LogicalXor>;
template <class F>
inline constexpr bool shifts = is_one_of<F, LeftShift, RightShift>;

/// The type in which F computes values of T.
template <class F, class T>
using LoopType = std::conditional_t<(std::is_same_v<T, bool> && !adds<F> && !shifts<F>) ||
                                        (std::is_same_v<T, int8_t> && ignores_sign<F>),
                                    uint8_t, ComputeType<T>>;

template <class T, class F>
void arithmetic(const Plan& plan, const F& f) {
  using C = LoopType<F, T>;
  run_blocks(plan, block2<F, C, C>, f, takes_repeats<F>);
}

template <class F>
void comparison(const Plan& plan, const F& f) {
  visit_all(plan.dtype[1], [&](auto tag) {
    run_blocks(plan, block2<F, bool, LoopType<F, typename decltype(tag)::type>>, f, takes_repeats<F>);
  });
}

/// The same walk with the two inputs exchanged.
Plan exchanged(const Plan& plan) {
  Plan p;
  p.ndim = plan.ndim;
  p.operands = plan.operands;
  p.numel = plan.numel;
  std::copy_n(plan.shape, plan.ndim, p.shape);
  for (int k = 0; k < 3; ++k) {
    const int from = k == 0 ? 0 : 3 - k;
    std::copy_n(plan.strides[from], plan.ndim, p.strides[k]);
    p.data[k] = plan.data[from];
    p.dtype[k] = plan.dtype[from];
  }
  return p;
}

template <class T>
void find_zero(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const int64_t step = strides[2];
  bool found = false;
  if (step == sizeof(T)) {
    const T* b = reinterpret_cast<const T*>(data[2]);
    for (int64_t i = 0; i < n; ++i) found |= b[i] == 0;
  } else {
    for (int64_t i = 0; i < (step == 0 ? 1 : n); ++i) found |= *reinterpret_cast<const T*>(data[2] + i * step) == 0;
  }
  if (found) *static_cast<bool*>(const_cast<void*>(context)) = true;
}

/// Raises before anything is written if an integer would be divided by zero.
template <class T>
void check_divisor(const Plan& plan) {
  bool zero = false;
  for_each(plan, find_zero<T>, &zero, INT64_MAX);
  NORCH_CHECK(!zero, "ZeroDivisionError: an integer tensor is divided by zero");
}

/// fmod(a, b) by a division in double, exact while the quotient has less than 2^29 (float) or 2^52 (double) in size;
/// otherwise, and for what is not finite, `bad` becomes positive.
inline double mod_from(double a, double b, double rest) {
  // The division may have rounded up to the next whole number.
  const double m = rest * std::copysign(1.0, a);
  return std::copysign(m < 0 ? m + std::fabs(b) : m, a);
}
inline float quick_fmod(float x, float y, double& bad) {
  const double a = x, b = y;
  const double q = std::trunc(a / b);
  bad += std::fabs(q) < 0x1p29 ? 0.0 : 1.0;
  bad += std::fabs(b) < HUGE_VAL ? 0.0 : 1.0;
  return static_cast<float>(mod_from(a, b, a - q * b));
}
#if defined(__FMA__)
inline double quick_fmod(double a, double b, double& bad) {
  const double q = std::trunc(a / b);
  bad += std::fabs(q) < 0x1p52 ? 0.0 : 1.0;
  bad += std::fabs(b) < HUGE_VAL ? 0.0 : 1.0;
  return mod_from(a, b, __builtin_fma(-q, b, a));
}
#endif

/// The float ops made from fmod: quick where every element of a small group allows it, one by one otherwise.
template <class F, class T>
void mod_block(char* const* data, int64_t n, uint32_t, const void*) {
  T* out = reinterpret_cast<T*>(data[0]);
  const T* a = reinterpret_cast<const T*>(data[1]);
  const T* b = reinterpret_cast<const T*>(data[2]);
  constexpr int64_t kGroup = 64;
  T mod[kGroup];
  for (int64_t at = 0; at < n; at += kGroup) {
    const int64_t count = std::min(kGroup, n - at);
    double bad = 0;
#pragma omp simd reduction(+ : bad)
    for (int64_t i = 0; i < count; ++i) mod[i] = quick_fmod(a[at + i], b[at + i], bad);
    if (bad != 0)
      for (int64_t i = 0; i < count; ++i) mod[i] = std::fmod(a[at + i], b[at + i]);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[at + i] = F::from_mod(a[at + i], b[at + i], mod[i]);
  }
}

/// Powers of floats, the rare ones that precise_pow is not made for one by one.
void pow_block(char* const* data, int64_t n, uint32_t, const void*) {
  constexpr int64_t kGroup = 4 * kLane;
  for (int64_t at = 0; at < n; at += kGroup) {
    float* out = reinterpret_cast<float*>(data[0]) + at;
    const float* a = reinterpret_cast<const float*>(data[1]) + at;
    const float* b = reinterpret_cast<const float*>(data[2]) + at;
    const int64_t count = std::min(kGroup, n - at) & -kLane;
    float power[kGroup];
    int rare = 0;
#pragma omp simd reduction(| : rare)
    for (int64_t i = 0; i < count; ++i) rare |= is_rare_power(a[i], b[i]) ? 1 : 0;
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) power[i] = precise_pow(a[i], b[i]);
    if (rare)
      for (int64_t i = 0; i < count; ++i)
        if (is_rare_power(a[i], b[i])) power[i] = std::pow(a[i], b[i]);
    std::memcpy(out, power, static_cast<size_t>(count) * sizeof(float));
  }
}

template <class F>
inline constexpr bool is_modulo =
    std::is_same_v<F, DivFloor> || std::is_same_v<F, Remainder> || std::is_same_v<F, Fmod>;

template <class F>
void number(const Plan& plan, const F& f) {
  if constexpr (std::is_same_v<F, Pow>) {
    if (is_floating_point(plan.dtype[0]) && plan.dtype[0] != DType::Float64) return run_blocks(plan, pow_block, f);
  }
  if constexpr (is_modulo<F>) {
    if (is_floating_point(plan.dtype[0]) && plan.dtype[0] != DType::Float64)
      return run_blocks(plan, mod_block<F, float>, f);
#if defined(__FMA__)
    if (plan.dtype[0] == DType::Float64) return run_blocks(plan, mod_block<F, double>, f);
#endif
  }
  visit_numbers("binary", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!is_floating_point(dtype_of<T>) && !std::is_same_v<F, Pow>) check_divisor<T>(plan);
    arithmetic<T>(plan, f);
  });
}

template <class F>
void scaled(const Plan& plan, const F& f, const Scalar& alpha, bool negate) {
  visit_all(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = LoopType<F, T>;
    const C factor = static_cast<C>(alpha.to<T>());  // rounded as the numbers of 16-bit sums are
    if (factor == C(1)) return arithmetic<T>(plan, f);
    arithmetic<T>(plan, AddScaled<C>(negate ? wrapping_sub(C(0), factor) : factor));
  });
}

}  // namespace

void binary(BinaryOp op, const Plan& plan, const Scalar& alpha) {
  switch (op) {
#define NORCH_CASE(name) \
  case BinaryOp::name:   \
    return visit_all(plan.dtype[0], [&](auto tag) { arithmetic<typename decltype(tag)::type>(plan, name{}); });
    NORCH_BINARY_ANY(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case BinaryOp::name: return number(plan, name{});
    NORCH_BINARY_NUMBER(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case BinaryOp::name:   \
    return visit_float(#name, plan.dtype[0], [&](auto tag) { arithmetic<typename decltype(tag)::type>(plan, name{}); });
    NORCH_BINARY_FLOAT(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name)                        \
  case BinaryOp::name:                          \
    return visit_integral(#name, plan.dtype[0], \
                          [&](auto tag) { arithmetic<typename decltype(tag)::type>(plan, name{}); });
    NORCH_BINARY_BITS(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case BinaryOp::name: return comparison(plan, name{});
    NORCH_CASE(Eq)
    NORCH_CASE(Ne)
    NORCH_CASE(Lt)
    NORCH_CASE(Le)
    NORCH_CASE(LogicalAnd)
    NORCH_CASE(LogicalOr)
    NORCH_CASE(LogicalXor)
#undef NORCH_CASE
    case BinaryOp::Gt: return comparison(exchanged(plan), Lt{});
    case BinaryOp::Ge: return comparison(exchanged(plan), Le{});
    case BinaryOp::Add: return scaled(plan, Add{}, alpha, false);
    case BinaryOp::Sub: return scaled(plan, Sub{}, alpha, true);
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
