#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// 1 for what is not zero, 0 for what is.
template <class T>
void load_truth(void* to, const char* from, int64_t n, int64_t stride) {
  using C = ComputeType<T>;
  int32_t* y = static_cast<int32_t*>(to);
  if (stride == static_cast<int64_t>(sizeof(T))) {
    const T* x = reinterpret_cast<const T*>(from);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<C>(x[i]) != C(0);
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<C>(*reinterpret_cast<const T*>(from + i * stride)) != C(0);
}

}  // namespace

void reduce_any_all(TestOp op, const ReducePlan& plan, const Tensor& out) {
  Load load = nullptr;
  visit_zeroness(plan.dtype, [&](auto tag) { load = load_truth<typename decltype(tag)::type>; });
  ReduceOp fold = op == TestOp::Any ? ReduceOp::Max : op == TestOp::All ? ReduceOp::Min : ReduceOp::Sum;
  if (plan.n == 0) fold = op == TestOp::All ? ReduceOp::Prod : ReduceOp::Sum;  // of nothing: 1 and 0
  run_fold({fold_loops(fold, DType::Int32), DType::Int32, load, false, nullptr, {}, out.data_ptr(), out.dtype()}, plan);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
