#include "autograd/saved_tensor.h"

namespace norch::autograd {

SavedTensor save(const Tensor& t) {
  SavedTensor s;
  if (!t.defined()) return s;
  NORCH_CHECK(!t.impl()->inference, "Inference tensors cannot be saved for backward. To work around you can make a "
                                    "clone to get a normal tensor and use it in autograd.");
  s.tensor_ = t;
  s.version_ = t.version();
  return s;
}

SavedTensor save_output(const Tensor& t, uint32_t output_nr) {
  SavedTensor s;
  if (!t.defined()) return s;
  s.tensor_ = shallow_copy(t);
  // The output of an unfinished in-place op is about to be counted as written.
  s.version_ = t.version() + (t.impl()->pending_write ? 1 : 0);
  s.output_nr_ = output_nr;
  s.is_output_ = true;
  return s;
}

Tensor SavedTensor::unpack(const Node& node) const {
  if (!tensor_.defined()) return {};
  if (tensor_.version() != version_) {
    NORCH_RAISE(Error, "one of the variables needed for gradient computation has been modified by an inplace operation: [",
                tensor_.dtype(), tensor_.sizes(), "], which is ", is_output_ ? "output " : "an input",
                is_output_ ? std::to_string(output_nr_) : std::string(), " of ", node.name(), ", is at version ",
                tensor_.version(), "; expected version ", version_,
                " instead. Hint: clone() the tensor before changing it, or enable anomaly detection to find the "
                "operation that failed to compute its gradient, with norch.autograd.set_detect_anomaly(True).");
  }
  if (!is_output_) return tensor_;
  // Unpacked anew each time: a lasting copy with this history would be the cycle that saving avoids.
  Tensor t = shallow_copy(tensor_);
  t.impl()->grad_fn = Ref<Node>(const_cast<Node*>(&node));
  t.impl()->output_nr = output_nr_;
  return t;
}

}  // namespace norch::autograd
