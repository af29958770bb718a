#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class A, template <class> class Op>
void run(const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  reduction::run(plan,
                 reduction::OpPolicy<T, A, Op<A>>{{}, out.data_ptr(), out.dtype() == plan.dtype, args.scale, args.root},
                 out.device());
}

}  // namespace

void reduce(ReduceOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  // bool is stored as 0 and 1: its bytes are numbers.
  visit_numbers("reduce", plan.dtype == DType::Bool ? DType::UInt8 : plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    switch (op) {
      case ReduceOp::Sum: return run<T, SumType<T>, SumOf>(plan, out, args);
      case ReduceOp::Prod: return run<T, SumType<T>, ProdOf>(plan, out, args);
      case ReduceOp::Max: return run<T, C, MaxOf>(plan, out, args);
      case ReduceOp::Min: return run<T, C, MinOf>(plan, out, args);
    }
  });
}

}  // namespace norch::kernels::cuda
