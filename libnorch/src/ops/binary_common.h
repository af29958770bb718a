// What the families of binary operators share: binary.cpp has arithmetic, binary_functions.cpp functions of two numbers,
// binary_logic.cpp comparisons, logic and bits.
#pragma once

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "kernels/binary.h"
#include "norch/tensor.h"

namespace norch {

/// op(a, b), broadcast and computed in `compute`; a comparison's result is bool. `out`, if defined, takes the result.
Tensor run_binary(const char* name, kernels::BinaryOp op, const Tensor& a, const Tensor& b, DType compute,
                  const Tensor& out, const Scalar& alpha = 1);

/// name(a, b) and name_(self, b) from name_op(op_name, a, b, out).
#define NORCH_TWO_FORMS(name)                                                          \
  Tensor name(const Tensor& a, const Tensor& b) { return name##_op(#name, a, b, {}); } \
  Tensor name##_(const Tensor& self, const Tensor& b) {                                \
    autograd::InPlace write(#name "_", self);                                          \
    return write.finish(name##_op(#name "_", write.input(), b, write.output()));       \
  }

}  // namespace norch
