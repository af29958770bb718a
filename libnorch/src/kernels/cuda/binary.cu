#include "kernels/binary.h"

#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class F>
void arithmetic(const Plan& plan, const F& f) {
  elementwise<T, T, T>(plan, f);
}

template <class F>
void comparison(const Plan& plan, const F& f) {
  visit_all(plan.dtype[1], [&](auto tag) {
    using T = typename decltype(tag)::type;
    elementwise<bool, T, T>(plan, f);
  });
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

}  // namespace norch::kernels::cuda
