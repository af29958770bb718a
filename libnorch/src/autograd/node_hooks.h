// Hooks of whole nodes, and what hooks may ask of the backward pass that runs them.
#pragma once

#include "autograd/node.h"

namespace norch::autograd {

/// Sees (and may replace) all gradients of a node at once, before and after it runs. It is kept among Node::hooks.
class NORCH_API NodeHook : public Hook {
 public:
  Tensor call(const Tensor&) final { return {}; }
  /// The gradients of the node's outputs, undefined where nothing used one.
  virtual void before(SmallVector<Tensor, 2>&) {}
  /// The gradients of the node's inputs, undefined where there is none, and those of its outputs.
  virtual void after(SmallVector<Tensor, 4>&, const SmallVector<Tensor, 2>&) {}
};

/// Ids of node hooks begin here, above all of tensors' hooks.
inline constexpr uint64_t kNodeHookIds = uint64_t{1} << 63;
/// The id of the hook of retain_grad.
inline constexpr uint64_t kRetainId = UINT64_MAX;
inline bool is_node_hook(const Node::TensorHook& h) { return h.id >= kNodeHookIds && h.id != kRetainId; }

/// Returns the id to remove it by. Several run in the order in which they were added.
NORCH_API uint64_t add_node_hook(Node& node, Ref<NodeHook> hook);
NORCH_API void remove_node_hook(Node& node, uint64_t id);

/// The number of the innermost backward pass that runs on this thread, -1 outside of any.
NORCH_API int64_t current_pass();
/// Whether that pass runs the node, or has done so. \throws Error outside of a pass.
NORCH_API bool current_pass_runs(const Node& node);
/// The same by the node's number, for those who must not keep the node alive. Not for leaves' nodes.
NORCH_API bool current_pass_runs(uint64_t sequence_nr);

}  // namespace norch::autograd
