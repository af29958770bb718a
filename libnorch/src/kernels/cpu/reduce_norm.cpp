#include "kernels/cpu/reduce_loops.h"
#include "kernels/cpu/vector_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

// What is summed, or of which the extreme is taken, where no loop is made for it: each element becomes it in place.

template <class C>
void abs_of(void* x, int64_t n, double) {
  C* y = static_cast<C*>(x);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = std::fabs(y[i]);
}
template <class C>
void power_of(void* x, int64_t n, double p) {
  C* y = static_cast<C*>(x);
  const C exponent = static_cast<C>(p);
  for (int64_t i = 0; i < n; ++i) y[i] = std::pow(std::fabs(y[i]), exponent);
}

/// Sums that have loops of their own; others fold what a map has made.
template <class C>
void choose(NormOp op, FoldArgs& f, bool empty) {
  switch (op) {
    case NormOp::NanSum: f.loops = loops_of<NanSumOf, C>(); return;
    case NormOp::SumSquares: f.loops = loops_of<SumSquaresOf, C>(); return;
    case NormOp::SumAbs: f.loops = loops_of<SumAbsOf, C>(); return;
    case NormOp::SumPow: f.loops = fold_loops(ReduceOp::Sum, f.type); break;
    case NormOp::MaxAbs: f.loops = fold_loops(empty ? ReduceOp::Sum : ReduceOp::Max, f.type); break;  // 0 of nothing
    case NormOp::MinAbs: f.loops = fold_loops(ReduceOp::Min, f.type); break;
  }
  f.map = op == NormOp::SumPow ? power_of<C> : abs_of<C>;
  f.as_they_are = false;
}

}  // namespace

void reduce_norm(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  NORCH_CHECK_IMPLEMENTED(is_floating_point(plan.dtype), "norm: not implemented for ", plan.dtype,
                              "; convert to a floating-point dtype");
  const DType type = plan.dtype == DType::Float64 ? DType::Float64 : DType::Float32;
  FoldArgs f{{}, type, load_as(type, plan.dtype), type == plan.dtype, nullptr, args, out.data_ptr(), out.dtype()};
  if (type == DType::Float64)
    choose<double>(op, f, plan.n == 0);
  else
    choose<float>(op, f, plan.n == 0);
  run_fold(f, plan);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
