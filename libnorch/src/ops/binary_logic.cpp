// Comparisons, logic and bits.
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "ops/binary_common.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using kernels::BinaryOp;

namespace {

/// Stores a result of another dtype into self, whose old value gets no gradient.
Tensor overwrite(InPlace& write, const char* node, const Tensor& result) {
  const Tensor& out = write.output();
  NORCH_CHECK(result.sizes() == out.sizes(), "output with shape ", out.sizes(), " doesn't match the broadcast shape ",
              result.sizes());
  copy_into(out, result);
  if (recording(write.input()))
    record(node, {write.input()}, {out}, [](Backward& ctx) { ctx.set(0, zeros_like(ctx.grad())); });
  return write.finish(out);
}

Tensor bits(const char* name, BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  const DType type = result_type(a, b);
  NORCH_CHECK_IMPLEMENTED(is_integral(type, true), name, ": not implemented for ", type,
                          "; convert to an integer dtype");
  const bool shift = op == BinaryOp::LeftShift || op == BinaryOp::RightShift;
  NORCH_CHECK_IMPLEMENTED(!shift || type != DType::Bool, name, ": not implemented for bool");
  return run_binary(name, op, a, b, type, out);
}

}  // namespace

#define NORCH_COMPARISON_OP(name, Op, Node)                                     \
  Tensor name(const Tensor& a, const Tensor& b) {                               \
    return run_binary(#name, BinaryOp::Op, a, b, result_type(a, b), {});        \
  }                                                                             \
  Tensor name##_(const Tensor& self, const Tensor& b) {                         \
    InPlace write(#name "_", self);                                             \
    return overwrite(write, Node, name(write.input(), b));                      \
  }
NORCH_COMPARISON_OP(eq, Eq, "EqBackward0")
NORCH_COMPARISON_OP(ne, Ne, "NeBackward0")
NORCH_COMPARISON_OP(lt, Lt, "LtBackward0")
NORCH_COMPARISON_OP(le, Le, "LeBackward0")
NORCH_COMPARISON_OP(gt, Gt, "GtBackward0")
NORCH_COMPARISON_OP(ge, Ge, "GeBackward0")
NORCH_COMPARISON_OP(logical_and, LogicalAnd, "LogicalAndBackward0")
NORCH_COMPARISON_OP(logical_or, LogicalOr, "LogicalOrBackward0")
NORCH_COMPARISON_OP(logical_xor, LogicalXor, "LogicalXorBackward0")

#define NORCH_BITS_OP(name, Op)                                                                       \
  static Tensor name##_op(const char* op_name, const Tensor& a, const Tensor& b, const Tensor& out) { \
    return bits(op_name, BinaryOp::Op, a, b, out);                                                    \
  }                                                                                                   \
  NORCH_TWO_FORMS(name)
NORCH_BITS_OP(bitwise_and, BitwiseAnd)
NORCH_BITS_OP(bitwise_or, BitwiseOr)
NORCH_BITS_OP(bitwise_xor, BitwiseXor)
NORCH_BITS_OP(bitwise_left_shift, LeftShift)
NORCH_BITS_OP(bitwise_right_shift, RightShift)

}  // namespace norch
