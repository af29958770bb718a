#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class A, template <class> class Op, class Out>
void run(const ReducePlan& plan, const Tensor& out) {
  reduction::run(plan, reduction::OpPolicy<T, A, Op<A>, Out, Out>{{}, out.data_ptr(), true, 1, 1}, out.device());
}

}  // namespace

void reduce_test(TestOp op, const ReducePlan& plan, const Tensor& out) {
  visit_zeroness(plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
      case TestOp::Any: return run<T, int32_t, AnyOf, uint8_t>(plan, out);
      case TestOp::All: return run<T, int32_t, AllOf, uint8_t>(plan, out);
      case TestOp::CountNonzero: return run<T, int64_t, CountOf, int64_t>(plan, out);
    }
  });
}

}  // namespace norch::kernels::cuda
