// record() for ops whose gradient needs nothing of the forward pass.
#pragma once

#include <utility>

#include "autograd/record.h"

namespace norch::autograd {

namespace detail {
template <class F>
class LinearNode final : public Node {
 public:
  LinearNode(const char* name, F&& f) : name_(name), f_(std::move(f)) {}
  std::string name() const override { return name_; }
  void apply(Backward& ctx) override { f_(ctx); }

 private:
  const char* name_;
  F f_;
};
}  // namespace detail

/// record(), where `f` holds no tensors: nothing is freed by a backward pass, so that others may follow it (two losses on
/// one concatenation, or on one weight that autocast has cast, each with its own backward()).
template <class F>
void record_linear(const char* name, TensorRefs inputs, TensorRefs outputs, F f) {
  Ref<Node> node(new detail::LinearNode<F>(name, std::move(f)));
  detail::connect(*node, inputs);
  detail::attach(node, outputs);
}

}  // namespace norch::autograd
