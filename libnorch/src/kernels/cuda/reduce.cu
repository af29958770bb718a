#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/reduce_fold.h"

namespace norch::kernels::cuda {

namespace {

/// Called, not inlined: it is long, and its time is not that of memory.
template <class A>
__device__ __noinline__ A power_of(A x, A exponent) {
  return std::pow(x < A(0) ? -x : x, exponent);
}

template <class A>
struct Fold {
  using Value = A;
  using Acc = A;
  ReduceOp op;
  Transform transform;
  A of_nothing, exponent;
  void* out;
  DType out_dtype;
  double scale, root;

  __device__ __forceinline__ A identity() const { return of_nothing; }
  template <int N>
  __device__ __forceinline__ void prepare(A (&v)[N]) const {
    if constexpr (std::is_floating_point_v<A>) {
      if (transform == Transform::None) return;
      switch (transform) {
        case Transform::Number:
#pragma unroll
          for (A& x : v) x = x == x ? x : A(0);
          break;
        case Transform::Magnitude:
#pragma unroll
          for (A& x : v) x = std::fabs(x);
          break;
        case Transform::Square:
#pragma unroll
          for (A& x : v) x = x * x;
          break;
        default:
#pragma unroll
          for (A& x : v) x = power_of(x, exponent);
          break;
      }
    }
  }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    switch (op) {
      case ReduceOp::Sum: return f([](A a, A x, int64_t) { return a + x; });
      case ReduceOp::Prod: return f([](A a, A x, int64_t) { return a * x; });
      case ReduceOp::Max: return f([](A a, A x, int64_t) { return MaxOf<A>{}.step(a, x); });
      default: return f([](A a, A x, int64_t) { return MinOf<A>{}.step(a, x); });
    }
  }
  __device__ __forceinline__ A join(A a, A b) const {
    visit([&](const auto& step) { a = step(a, b, 0); });
    return a;
  }
  __device__ __forceinline__ void store(A a, int64_t at) const {
    reduction::Values<A>::store(out_dtype, out, at, finish_value(a, scale, root));
  }
};

template <class A>
A of_nothing(ReduceOp op, Transform transform) {
  switch (op) {
    case ReduceOp::Sum: return A(0);
    case ReduceOp::Prod: return A(1);
    case ReduceOp::Max: return transform == Transform::Magnitude ? A(0) : lowest_of<A>();
    default: return highest_of<A>();
  }
}

}  // namespace

void fold(ReduceOp op, Transform transform, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  reduction::visit_value_type(plan.dtype, [&](auto tag) {
    using A = typename decltype(tag)::type;
    reduction::run(plan,
                   Fold<A>{op, transform, of_nothing<A>(op, transform), static_cast<A>(args.p), out.data_ptr(),
                           out.dtype(), args.scale, args.root},
                   out.device());
  });
}

void reduce(ReduceOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  fold(op, Transform::None, plan, out, args);
}

}  // namespace norch::kernels::cuda
