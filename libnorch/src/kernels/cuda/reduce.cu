#include "kernels/cuda/reduce_fold.cuh"

namespace norch::kernels::cuda {

namespace {

template <class A>
struct Op {
  ReduceOp op;
  double scale;
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    switch (op) {
      case ReduceOp::Sum: return f(SumOf<A>{});
      case ReduceOp::Prod: return f(ProdOf<A>{});
      case ReduceOp::Max: return f(MaxOf<A>{});
      default: return f(MinOf<A>{});
    }
  }
  __device__ __forceinline__ A finish(A a) const { return finish_value(a, scale, 1.0); }
};

}  // namespace

void reduce(ReduceOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  reduction::visit_value_type(plan.dtype, [&](auto tag) {
    using A = typename decltype(tag)::type;
    reduction::fold<A>(Op<A>{op, args.scale}, plan, out);
  });
}

}  // namespace norch::kernels::cuda
