#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T, class W, template <class> class Op, class... P>
void run(const ReducePlan& plan, const Tensor& out, const ReduceArgs& args, P... p) {
  using A = ComputeType<T>;
  const Fold<T, A, W, Op<A>, Op<W>> f{Op<A>(p...), Op<W>(p...), out.data_ptr(), out.dtype() == plan.dtype, args.scale,
                                      args.root};
  f.run(plan);
}

}  // namespace

void reduce_norm(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  visit_float("norm", plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    switch (op) {
      case NormOp::NanSum: return run<T, double, NanSumOf>(plan, out, args);
      case NormOp::SumAbs: return run<T, double, SumAbsOf>(plan, out, args);
      case NormOp::SumSquares: return run<T, double, SumSquaresOf>(plan, out, args);
      case NormOp::SumPow: return run<T, double, SumPowOf>(plan, out, args, args.p);
      case NormOp::MaxAbs: return run<T, C, MaxAbsOf>(plan, out, args);
      case NormOp::MinAbs: return run<T, C, MinAbsOf>(plan, out, args);
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
