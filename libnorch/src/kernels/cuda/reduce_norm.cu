#include "kernels/cuda/reduce_fold.h"

namespace norch::kernels::cuda {

void reduce_norm(NormOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  visit_float("norm", plan.dtype, [](auto) {});  // raises for others
  switch (op) {
    case NormOp::NanSum: return fold(ReduceOp::Sum, Transform::Number, plan, out, args);
    case NormOp::SumAbs: return fold(ReduceOp::Sum, Transform::Magnitude, plan, out, args);
    case NormOp::SumSquares: return fold(ReduceOp::Sum, Transform::Square, plan, out, args);
    case NormOp::SumPow: return fold(ReduceOp::Sum, Transform::Power, plan, out, args);
    case NormOp::MaxAbs: return fold(ReduceOp::Max, Transform::Magnitude, plan, out, args);
    case NormOp::MinAbs: return fold(ReduceOp::Min, Transform::Magnitude, plan, out, args);
  }
}

}  // namespace norch::kernels::cuda
