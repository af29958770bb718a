// A tensor kept for backward.
#pragma once

#include "autograd/node.h"

namespace norch::autograd {

/// Keeps a tensor from forward to backward and notices in-place changes in between.
///
/// An op's input is kept as it is. An op's own output is kept as a copy without history, because output -> grad_fn ->
/// saved output would be a cycle; unpacking gives that copy its history back.
class NORCH_API SavedTensor {
 public:
  SavedTensor() = default;
  bool defined() const { return tensor_.defined(); }
  Tensor unpack(const Node& node) const;

 private:
  friend NORCH_API SavedTensor save(const Tensor&);
  friend NORCH_API SavedTensor save_output(const Tensor&, uint32_t);
  Tensor tensor_;
  uint32_t version_ = 0;
  uint32_t output_nr_ = 0;
  bool is_output_ = false;
};

/// Saves an input of the op being recorded; an undefined tensor stays undefined.
NORCH_API SavedTensor save(const Tensor& t);
/// save(t) if `needed`, otherwise nothing: an op saves an input only for the gradients that will be asked for, e.g. mul
/// saves a only if b requires grad.
inline SavedTensor save_if(bool needed, const Tensor& t) { return needed ? save(t) : SavedTensor(); }
/// Saves output `output_nr` of the op being recorded.
NORCH_API SavedTensor save_output(const Tensor& t, uint32_t output_nr = 0);

}  // namespace norch::autograd
