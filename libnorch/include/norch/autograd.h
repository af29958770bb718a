// Reverse-mode automatic differentiation: running it, switching it, and extending it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "norch/tensor.h"

namespace norch::autograd {

// ---- modes

/// Whether ops on this thread record gradients.
NORCH_API bool grad_enabled();
NORCH_API void set_grad_enabled(bool enabled);
NORCH_API bool inference_mode();
NORCH_API void set_inference_mode(bool enabled);

/// Sets the grad mode of this thread for a scope.
class NORCH_API GradMode {
 public:
  explicit GradMode(bool enabled) : previous_(grad_enabled()) { set_grad_enabled(enabled); }
  ~GradMode() { set_grad_enabled(previous_); }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool previous_;
};
/// Nothing is recorded in this scope.
class NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}
};
/// As NoGrad; tensors made in this scope may never be saved for backward later.
class NORCH_API InferenceMode {
 public:
  explicit InferenceMode(bool enabled = true) : grad_(!enabled && grad_enabled()), previous_(inference_mode()) {
    set_inference_mode(enabled);
  }
  ~InferenceMode() { set_inference_mode(previous_); }

 private:
  GradMode grad_;
  bool previous_;
};

// ---- running

/// Accumulates into `.grad` of every leaf (or of `inputs` only, if given) the gradient of the sum of
/// `tensors[i] * grads[i]`. An undefined or missing grad stands for 1 and needs a one-element tensor.
/// The graph is freed unless `retain_graph`; gradients are themselves differentiable with `create_graph`.
/// \throws Error when a tensor does not require grad, shapes differ, or the graph was freed already.
NORCH_API void backward(const TensorList& tensors, const TensorList& grads = {}, bool retain_graph = false,
                        bool create_graph = false, const TensorList& inputs = {});

/// The gradients themselves, one per input, without touching `.grad`. An input that no output depends on raises,
/// unless `allow_unused`: then its gradient is undefined (zeros with `materialize_grads`).
NORCH_API TensorList grad(const TensorList& outputs, const TensorList& inputs, const TensorList& grad_outputs = {},
                          bool retain_graph = false, bool create_graph = false, bool allow_unused = false,
                          bool materialize_grads = false);

/// In anomaly mode a backward that makes a NaN raises and names the forward op; see set_anomaly_context in node.h.
NORCH_API bool anomaly_enabled();
NORCH_API bool anomaly_check_nan();
NORCH_API void set_anomaly_enabled(bool enabled, bool check_nan = true);

// ---- hooks

/// A function that sees (and may replace) a gradient.
class NORCH_API Hook : public RefCounted {
 public:
  /// Gets the gradient; returns a replacement, or an undefined tensor to keep it.
  virtual Tensor call(const Tensor& grad) = 0;
};

/// Adds a hook on the gradient of `t`; it runs before the gradient is used or accumulated. Returns an id.
/// \throws Error if `t` does not require grad.
NORCH_API uint64_t add_hook(const Tensor& t, Ref<Hook> hook);
/// Adds a hook that gets the leaf itself (its `.grad` is up to date by then). Returns an id.
NORCH_API uint64_t add_post_accumulate_hook(const Tensor& leaf, Ref<Hook> hook);
/// Removes either kind; unknown ids are ignored.
NORCH_API void remove_hook(const Tensor& t, uint64_t id);
/// Keeps the gradient of a non-leaf in `.grad`.
NORCH_API void retain_grad(const Tensor& t);
NORCH_API bool retains_grad(const Tensor& t);

}  // namespace norch::autograd
