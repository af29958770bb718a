#pragma once

#include "autograd/node.h"

namespace norch::autograd {

class AccumulateGrad final : public Node {
 public:
  explicit AccumulateGrad(Tensor leaf);
  std::string name() const override { return "AccumulateGrad"; }
  void apply(Backward& ctx) override;
  Tensor variable() const override { return leaf_; }

 protected:
  void on_zero_refs() noexcept override;

 private:
  Tensor leaf_;
};

}  // namespace norch::autograd
