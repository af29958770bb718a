#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T, class A, class W, template <class> class Op, class Out>
void run(const ReducePlan& plan, const Tensor& out) {
  const Fold<T, A, W, Op<A>, Op<W>, Out, Out> f{{}, {}, out.data_ptr(), true, 1, 1};
  f.run(plan);
}

}  // namespace

void reduce_test(TestOp op, const ReducePlan& plan, const Tensor& out) {
  visit_zeroness(plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
      case TestOp::Any: return run<T, uint8_t, uint8_t, AnyOf, uint8_t>(plan, out);
      case TestOp::All: return run<T, uint8_t, uint8_t, AllOf, uint8_t>(plan, out);
      case TestOp::CountNonzero: return run<T, int32_t, int64_t, CountOf, int64_t>(plan, out);
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
