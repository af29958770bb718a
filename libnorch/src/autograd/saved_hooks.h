// What becomes of tensors that are kept for backward: hooks that keep something else in their place.
#pragma once

#include <memory>
#include <string>

#include "autograd/node.h"

namespace norch::autograd {

/// What a hook made of a saved tensor.
class Packed {
 public:
  virtual ~Packed() = default;
  /// A tensor with the values, the shape and the dtype of the one that was saved.
  virtual Tensor unpack() = 0;
};

/// Called with every tensor that an op saves while the hooks are on.
class SavingHooks : public RefCounted {
 public:
  virtual std::unique_ptr<Packed> pack(const Tensor& t) = 0;
};

/// Hooks of this thread; the last ones pushed count.
NORCH_API void push_saving_hooks(Ref<SavingHooks> hooks);
NORCH_API void pop_saving_hooks();
/// While set, push_saving_hooks raises with this text. Returns the text that was set before.
NORCH_API std::string forbid_saving_hooks(const std::string& why);

}  // namespace norch::autograd
