#include "kernels/binary.h"

#include "kernels/cpu/loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T, class Out, class F>
void loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const F& f = *static_cast<const F*>(context);
  using C = ComputeType<T>;
  constexpr int64_t kIn = sizeof(T), kOut = sizeof(Out);
  if (strides[0] == kOut && strides[1] == kIn && strides[2] == kIn) {
    Out* out = reinterpret_cast<Out*>(data[0]);
    const T* a = reinterpret_cast<const T*>(data[1]);
    const T* b = reinterpret_cast<const T*>(data[2]);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<Out>(f(static_cast<C>(a[i]), static_cast<C>(b[i])));
  } else if (strides[0] == kOut && strides[1] == kIn && strides[2] == 0) {
    Out* out = reinterpret_cast<Out*>(data[0]);
    const T* a = reinterpret_cast<const T*>(data[1]);
    const C b = static_cast<C>(*reinterpret_cast<const T*>(data[2]));
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<Out>(f(static_cast<C>(a[i]), b));
  } else {
    for (int64_t i = 0; i < n; ++i) {
      const T a = *reinterpret_cast<const T*>(data[1] + i * strides[1]);
      const T b = *reinterpret_cast<const T*>(data[2] + i * strides[2]);
      *reinterpret_cast<Out*>(data[0] + i * strides[0]) =
          static_cast<Out>(f(static_cast<C>(a), static_cast<C>(b)));
    }
  }
}

template <class T, class F>
void arithmetic(const Plan& plan, const F& f) {
  for_each(plan, loop<T, T, F>, &f);
}

template <class F>
void comparison(const Plan& plan, const F& f) {
  visit_all(plan.dtype[1], [&](auto tag) { for_each(plan, loop<typename decltype(tag)::type, bool, F>, &f); });
}

}  // namespace

void binary(BinaryOp op, const Plan& plan, const Scalar& alpha) {
  if (op == BinaryOp::Eq) return comparison(plan, Eq{});
  if (op == BinaryOp::Ne) return comparison(plan, Ne{});
  visit_all(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const bool scaled = alpha.to_double() != 1;
    switch (op) {
      case BinaryOp::Add:
        if (scaled) return arithmetic<T>(plan, AddScaled<C>{alpha.to<C>()});
        return arithmetic<T>(plan, Add{});
      case BinaryOp::Sub:
        if (scaled) return arithmetic<T>(plan, AddScaled<C>{static_cast<C>(-alpha.to<C>())});
        return arithmetic<T>(plan, Sub{});
      case BinaryOp::Mul: return arithmetic<T>(plan, Mul{});
      default:
        if constexpr (is_floating_point(dtype_of<T>)) return arithmetic<T>(plan, Div{});
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
