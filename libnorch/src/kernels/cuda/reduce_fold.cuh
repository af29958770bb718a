// Reductions to one number by a functor that is chosen when they run: sums, products, extrema, norms.
#pragma once

#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda::reduction {

/// Whether a functor's step costs so much that it is not to be taken for nothing.
template <class Functor>
inline constexpr bool is_costly = false;

/// One functor of an Op as a policy's step.
template <class A, class Functor>
struct FoldStep {
  Functor functor;
  __device__ __forceinline__ A operator()(A a, A x, int64_t) const { return functor.step(a, x); }
};

/// A Policy (kernels/cuda/reduce.cuh) from Op, whose visit(f) calls f(functor) with one of the functors of
/// kernels/reduce.h and whose finish(a) gives the result.
template <class A, class Op>
struct Fold {
  using Value = A;
  using Acc = A;
  static constexpr bool kWide = std::is_same_v<A, float>;
  static constexpr bool kByRuns = true;
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
    op.visit([&](const auto& functor) { f(FoldStep<A, std::decay_t<decltype(functor)>>{functor}); });
  }
  /// Each run by itself: one accumulator for all elements would make each wait for the one before.
  template <int kSize, int N, int U, class Step, class F>
  __device__ __forceinline__ A take(const Step& step, A a, int count, const F& values) const {
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (is_costly<decltype(step.functor)> && u >= count) break;
      A x[N], some = step.functor.identity();
      values(u, x);
#pragma unroll
      for (int j = 0; j < N; ++j) some = step.functor.step(some, x[j]);
      a = u < count ? step.functor.join(a, some) : a;
    }
    return a;
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
