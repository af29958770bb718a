// Operands of elementwise ops.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// `t` as an operand of a kernel on `device` that computes in `dtype`: cast and moved. A 0-d CPU tensor stays where it
/// is, for make_plan hands its value to a CUDA kernel as an argument.
inline Tensor as_operand(const Tensor& t, Device device, DType dtype) {
  return t.to(t.dim() == 0 && t.is_cpu() ? kCPU : device, dtype);
}

}  // namespace norch
