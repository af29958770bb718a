// Reductions to one number by a functor that is chosen when they run: sums, products, extrema, norms.
#pragma once

#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda::reduction {

/// A Policy (kernels/cuda/reduce.cuh) from Op, whose visit(f) calls f(functor) with one of the functors of
/// kernels/reduce.h and whose finish(a) gives the result.
template <class A, class Op>
struct Fold {
  using Value = A;
  using Acc = A;
  static constexpr bool kWide = std::is_same_v<A, float>;
  static constexpr bool kByRuns = false;
  Op op;
  void* out;
  DType out_dtype;

  __device__ __forceinline__ A identity() const {
    A a;
    op.visit([&](const auto& functor) { a = functor.identity(); });
    return a;
  }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    op.visit([&](const auto& functor) { f([&](A a, A x, int64_t) { return functor.step(a, x); }); });
  }
  __device__ __forceinline__ A join(A a, A b) const {
    op.visit([&](const auto& functor) { a = functor.join(a, b); });
    return a;
  }
  __device__ __forceinline__ void store(A a, int64_t at) const {
    Values<A>::store(out_dtype, out, at, op.finish(a));
  }
};

template <class A, class Op>
void fold(const Op& op, const ReducePlan& plan, const Tensor& out) {
  run(plan, Fold<A, Op>{op, out.data_ptr(), out.dtype()}, out.device());
}

}  // namespace norch::kernels::cuda::reduction
