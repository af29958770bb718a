// What every elementwise op does around its kernel: promotion, devices, broadcasting, the output.
#pragma once

#include "core/tensor_refs.h"
#include "kernels/plan.h"

namespace norch {

/// The dtype that operands promote to, as in PyTorch: tensors with dims outrank 0-d ones, which outrank numbers, unless
/// those are of a lower category (bool < integer < float < complex).
DType result_type(const Tensor& a, const Tensor& b);
DType result_type(TensorRefs operands);

/// t, or the default float dtype for an integer or bool t. (Complex types stay.)
inline DType float_type(DType t) { return is_differentiable(t) ? t : default_dtype(); }

/// The device of an op's result: a 0-d CPU tensor goes where the others are. \throws Error if the others differ.
Device common_device(const char* op, TensorRefs operands);

/// One run of an elementwise kernel.
///
///   Elementwise e("mul", {a, b}, compute, result, out);   // checks, casts, allocates
///   kernels::binary(e.device, BinaryOp::Mul, e.plan, 1);
///   return e.finish();
///
/// Inputs are cast to `compute` (the one numbered `as_it_is` is not); the result has dtype `result` and the broadcast
/// shape. If `out` is defined the result goes there: shapes must agree and the dtype must be castable. Inputs must live
/// until the kernel has run; 0-d CPU tensors, which hold numbers, need not.
///
/// Beside 16-bit floats a number enters the kernel rounded to that type, unless bit i of `wide` says that input i stays
/// float32 if it is one: the kernels of such ops take the dtype of each operand from the plan.
class Elementwise {
 public:
  Elementwise(const char* op, TensorRefs inputs, DType compute, DType result, const Tensor& out, int as_it_is = -1,
              uint32_t wide = 0);
  /// The output; call it after the kernel.
  Tensor finish();

  Plan plan;
  Device device;

 private:
  bool plan_plain(TensorRefs inputs, DType compute, DType result, const Tensor& out, int as_it_is, uint32_t wide);
  void use_number(int input, const Tensor& number, DType type);
  void cast_inputs(TensorRefs inputs, DType compute, int as_it_is);
  void use_output(const char* op, TensorRefs inputs, Ints shape, DType result, const Tensor& out);

  static constexpr int kMaxInputs = 3;
  Tensor result_;             // what the kernel writes
  Tensor out_;                // where that goes in the end, if elsewhere
  Tensor held_[kMaxInputs];   // cast or copied inputs
  alignas(16) char numbers_[kMaxInputs][16];
};

}  // namespace norch
