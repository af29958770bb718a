// Writing to a tensor that autograd may know.
#pragma once

#include "autograd/node.h"

namespace norch::autograd {

/// The steps of an in-place op:
///
///   Tensor& mul_(Tensor& self, const Tensor& other) {
///     InPlace w("mul_", self);
///     Tensor out = binary(BinaryOp::Mul, w.input(), other, w.output());   // writes into self's memory, records
///     return w.finish(out);
///   }
///
/// An op without a form that writes into given memory may return a fresh `out`: finish() then copies it.
/// The constructor checks what PyTorch checks: a leaf that requires grad, a view made under no_grad or by a
/// multi-output op, and memory that overlaps itself are refused, before anything changes.
/// An op that ignores what was there before (zero_, fill_) still gives input() as its input 0: the gradient of what was
/// overwritten is zero, and recording a backward that sets nothing says so.
class NORCH_API InPlace {
 public:
  InPlace(const char* op, const Tensor& self);
  /// The tensor as it was: the op's input 0, with self's history.
  const Tensor& input() const { return input_; }
  /// Where to write: self's memory, without history.
  const Tensor& output() const { return output_; }
  /// Gives self the history of `out` and counts the write. \throws Error if out's shape or dtype can't be stored.
  Tensor finish(const Tensor& out);

 private:
  const char* op_;
  Tensor self_, input_, output_;
};

/// The tensor to save for backward where an op reads `input` and may write into its memory (`out` is undefined, or the
/// memory the op writes into): the input itself or, if it is about to be overwritten, a copy with the same history.
/// Call it before the kernel runs.
Tensor saved_input(const Tensor& input, const Tensor& out);

/// Whether two elements of the tensor share memory (an expanded dim).
NORCH_API bool overlaps_itself(const Tensor& t);

}  // namespace norch::autograd
