#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T, class A, class W, template <class> class Op>
void run(const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  const Fold<T, A, W, Op<A>, Op<W>> f{{}, {}, out.data_ptr(), out.dtype() == plan.dtype, args.scale, args.root};
  f.run(plan);
}

}  // namespace

void reduce(ReduceOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  // bool is stored as 0 and 1: its bytes are numbers.
  visit_numbers("reduce", plan.dtype == DType::Bool ? DType::UInt8 : plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    using W = WideType<T>;
    switch (op) {
      case ReduceOp::Sum: return run<T, LaneType<T>, W, SumOf>(plan, out, args);
      case ReduceOp::Prod: return run<T, SumType<T>, W, ProdOf>(plan, out, args);
      case ReduceOp::Max: return run<T, C, C, MaxOf>(plan, out, args);
      case ReduceOp::Min: return run<T, C, C, MinOf>(plan, out, args);
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
