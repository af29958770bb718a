#include "kernels/cpu/reduce_loops.h"
#include "kernels/cpu/vector_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

// What is summed, or of which the extreme is taken: each element becomes it in place.

template <class C>
void abs_of(void* x, int64_t n, double) {
  C* y = static_cast<C*>(x);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = std::fabs(y[i]);
}
template <class C>
void square_of(void* x, int64_t n, double) {
  C* y = static_cast<C*>(x);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] *= y[i];
}
template <class C>
void number_of(void* x, int64_t n, double) {
  C* y = static_cast<C*>(x);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = y[i] == y[i] ? y[i] : C(0);
}
template <class C>
void power_of(void* x, int64_t n, double p) {
  C* y = static_cast<C*>(x);
  const C exponent = static_cast<C>(p);
  for (int64_t i = 0; i < n; ++i) y[i] = std::pow(std::fabs(y[i]), exponent);
}

template <class C>
void set_map(NormOp op, FoldArgs& f) {
  switch (op) {
    case NormOp::NanSum: f.map = number_of<C>; break;
    case NormOp::SumSquares: f.map = square_of<C>; break;
    case NormOp::SumPow: f.map = power_of<C>; break;
    default: f.map = abs_of<C>; break;
  }
}

}  // namespace

void reduce_norm(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  NORCH_CHECK_IMPLEMENTED(is_floating_point(plan.dtype), "norm: not implemented for ", plan.dtype,
                              "; convert to a floating-point dtype");
  const DType loops = plan.dtype == DType::Float64 ? DType::Float64 : DType::Float32;
  ReduceOp fold = ReduceOp::Sum;
  if (op == NormOp::MaxAbs && plan.n > 0) fold = ReduceOp::Max;  // the largest of nothing is 0
  if (op == NormOp::MinAbs) fold = ReduceOp::Min;
  FoldArgs f{fold, loops, load_as(loops, plan.dtype), false, nullptr, args, out.data_ptr(), out.dtype()};
  if (loops == DType::Float64)
    set_map<double>(op, f);
  else
    set_map<float>(op, f);
  run_fold(f, plan);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
