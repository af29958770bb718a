// What uint16, uint32 and uint64 compute differently from the signed types of their widths.
#pragma once

#include "kernels/binary.h"
#include "kernels/plain_kernel.h"

namespace norch::kernels {

#define NORCH_UNSIGNED_ARITHMETIC(X) \
  X(Maximum) X(Minimum) X(Fmax) X(Fmin) X(DivFloor) X(DivTrunc) X(Remainder) X(Fmod) X(Pow) X(LeftShift) X(RightShift)
#define NORCH_UNSIGNED_COMPARE(X) X(Lt) X(Le) X(Gt) X(Ge)

/// As `binary`, for wide unsigned a and b and the ops above; a divisor of 0 gives 0. \throws NotImplementedError, naming
/// `op_name`, for other ops.
NORCH_PLAIN_KERNEL(binary_unsigned, void(const char* op_name, BinaryOp op, const Plan& plan))

/// Calls f(TypeTag<T>) for the three types. \throws NotImplementedError for others.
template <class F>
void visit_unsigned(const char* op_name, DType t, F&& f) {
  switch (t) {
    case DType::UInt16: return f(TypeTag<uint16_t>{});
    case DType::UInt32: return f(TypeTag<uint32_t>{});
    case DType::UInt64: return f(TypeTag<uint64_t>{});
    default: NORCH_RAISE(NotImplementedError, op_name, ": not implemented for ", t);
  }
}

[[noreturn]] inline void no_unsigned_op(const char* op_name, DType t) {
  NORCH_RAISE(NotImplementedError, op_name, ": not implemented for ", t, "; convert to a floating-point dtype");
}

}  // namespace norch::kernels
