#include <algorithm>

#include "autograd/node_hooks.h"
#include "autograd/sparse_grad.h"

namespace norch::autograd {

namespace {

/// Keeps a non-leaf's gradient. It runs after all other hooks and points to its tensor without counting; the tensor's
/// destructor removes it (forget_retained).
class RetainGrad final : public Hook {
 public:
  explicit RetainGrad(TensorImpl* target) : target_(target) {}
  Tensor call(const Tensor& grad) override {
    Tensor& kept = target_->meta->grad;
    const bool history = kept.defined() && grad_enabled();
    kept = is_sparse(grad) ? own_copy(grad, history) : history ? grad : grad.detach();
    return {};
  }
  TensorImpl* target() const { return target_; }

 private:
  TensorImpl* target_;
};

void insert(std::vector<Node::TensorHook>& hooks, Node::TensorHook hook) {
  auto at = std::find_if(hooks.begin(), hooks.end(), [](const auto& h) { return h.id == kRetainId; });
  hooks.insert(hook.id == kRetainId ? hooks.end() : at, std::move(hook));
}

void erase(std::vector<Node::TensorHook>& hooks, uint64_t id) {
  hooks.erase(std::remove_if(hooks.begin(), hooks.end(), [id](const auto& h) { return h.id == id; }), hooks.end());
}

}  // namespace

uint64_t add_hook(const Tensor& t, Ref<Hook> hook) {
  NORCH_CHECK(t.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  Meta& meta = meta_of(t);
  const uint64_t id = meta.next_hook_id++;
  if (const Ref<Node>& node = t.grad_fn()) {
    // Ids of several tensors that share a node must not clash.
    const uint64_t unique = (uint64_t{t.impl()->output_nr} << 32) | id;
    insert(node->hooks, {t.impl()->output_nr, unique, std::move(hook)});
    return unique;
  }
  insert(meta.leaf_hooks, {0, id, std::move(hook)});
  return id;
}

uint64_t add_post_accumulate_hook(const Tensor& leaf, Ref<Hook> hook) {
  NORCH_CHECK(leaf.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  NORCH_CHECK(leaf.is_leaf(), "post accumulate grad hooks cannot be registered on non-leaf tensors");
  Meta& meta = meta_of(leaf);
  const uint64_t id = meta.next_hook_id++;
  meta.post_accumulate_hooks.push_back({0, id, std::move(hook)});
  return id;
}

uint64_t add_node_hook(Node& node, Ref<NodeHook> hook) {
  uint64_t id = kNodeHookIds;
  for (const Node::TensorHook& h : node.hooks)
    if (is_node_hook(h)) id = std::max(id, h.id + 1);
  node.hooks.push_back({0, id, std::move(hook)});
  return id;
}

void remove_node_hook(Node& node, uint64_t id) { erase(node.hooks, id); }

void remove_hook(const Tensor& t, uint64_t id) {
  if (t.impl()->meta) {
    erase(t.impl()->meta->leaf_hooks, id);
    erase(t.impl()->meta->post_accumulate_hooks, id);
  }
  if (t.impl()->grad_fn) erase(t.impl()->grad_fn->hooks, id);
}

void retain_grad(const Tensor& t) {
  NORCH_CHECK(t.requires_grad(), "can't retain_grad on Tensor that has requires_grad=False");
  const Ref<Node>& node = t.grad_fn();
  if (!node) return;
  Meta& meta = meta_of(t);
  if (meta.retains_grad) return;
  meta.retains_grad = true;
  insert(node->hooks, {t.impl()->output_nr, kRetainId, Ref<Hook>(new RetainGrad(t.impl()))});
}

bool retains_grad(const Tensor& t) { return t.impl()->meta && t.impl()->meta->retains_grad; }

void forget_retained(TensorImpl& impl) {
  if (!impl.grad_fn) return;
  auto& hooks = impl.grad_fn->hooks;
  hooks.erase(std::remove_if(hooks.begin(), hooks.end(),
                             [&](const Node::TensorHook& h) {
                               return h.id == kRetainId && static_cast<RetainGrad&>(*h.hook).target() == &impl;
                             }),
              hooks.end());
  impl.meta->retains_grad = false;
}

}  // namespace norch::autograd
