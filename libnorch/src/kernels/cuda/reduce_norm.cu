#include "kernels/cuda/reduce_fold.cuh"

namespace norch::kernels::cuda {

namespace {

/// Called, not inlined: it takes many registers, and its time is not that of memory.
template <class A>
__device__ __noinline__ A power_of(A x, A exponent) {
  return std::pow(x, exponent);
}

template <class A>
struct PowSumOf : SumOf<A> {
  A exponent;
  __device__ explicit PowSumOf(A p) : exponent(p) {}
  __device__ __forceinline__ A step(A a, A x) const { return a + power_of(std::fabs(x), exponent); }
};

}  // namespace

template <class A>
inline constexpr bool reduction::is_costly<PowSumOf<A>> = true;

namespace {

template <class A>
struct Op {
  NormOp op;
  A exponent;
  double scale, root;
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    switch (op) {
      case NormOp::NanSum: return f(NanSumOf<A>{});
      case NormOp::SumAbs: return f(SumAbsOf<A>{});
      case NormOp::SumSquares: return f(SumSquaresOf<A>{});
      case NormOp::SumPow: return f(PowSumOf<A>(exponent));
      case NormOp::MaxAbs: return f(MaxAbsOf<A>{});
      default: return f(MinAbsOf<A>{});
    }
  }
  __device__ __forceinline__ A finish(A a) const {
    if (root == 1 || root == 2) return finish_value(a, scale, root);
    return static_cast<A>(power_of(static_cast<double>(finish_value(a, scale, 1.0)), 1 / root));
  }
};

}  // namespace

void reduce_norm(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  visit_float("norm", plan.dtype, [&](auto tag) {
    using A = SumType<typename decltype(tag)::type>;
    reduction::fold<A>(Op<A>{op, static_cast<A>(args.p), args.scale, args.root}, plan, out);
  });
}

}  // namespace norch::kernels::cuda
