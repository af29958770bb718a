#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, template <class> class Op, class... P>
void run(const ReducePlan& plan, const Tensor& out, const ReduceArgs& args, P... p) {
  using A = ComputeType<T>;
  reduction::run(
      plan,
      reduction::OpPolicy<T, A, Op<A>>{Op<A>(p...), out.data_ptr(), out.dtype() == plan.dtype, args.scale, args.root},
      out.device());
}

}  // namespace

void reduce_norm(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  visit_float("norm", plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
      case NormOp::NanSum: return run<T, NanSumOf>(plan, out, args);
      case NormOp::SumAbs: return run<T, SumAbsOf>(plan, out, args);
      case NormOp::SumSquares: return run<T, SumSquaresOf>(plan, out, args);
      case NormOp::SumPow: return run<T, SumPowOf>(plan, out, args, args.p);
      case NormOp::MaxAbs: return run<T, MaxAbsOf>(plan, out, args);
      case NormOp::MinAbs: return run<T, MinAbsOf>(plan, out, args);
    }
  });
}

}  // namespace norch::kernels::cuda
