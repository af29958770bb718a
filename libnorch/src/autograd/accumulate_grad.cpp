// The node at the leaves: adds what arrives to `.grad`.
#include <mutex>

#include "autograd/accumulate_grad.h"
#include "autograd/sparse_grad.h"
#include "core/factory.h"
#include "core/layout.h"
#include "norch/ops.h"

namespace norch::autograd {

namespace {
// Guards Meta::accumulator. A leaf points to its node without counting, the node counts the leaf; so the node of a
// finished graph can die while another thread looks it up.
std::mutex g_mutex;

Tensor copy_like(const Tensor& g, const Tensor& leaf) {
  if (leaf.is_contiguous() || !is_dense(leaf.sizes(), leaf.strides())) return g.clone(MemoryFormat::contiguous);
  return copy_(new_strided(leaf.sizes(), leaf.strides(), g.dtype(), g.device()), g);
}
}  // namespace

AccumulateGrad::AccumulateGrad(Tensor leaf) : Node(UINT64_MAX), leaf_(std::move(leaf)) {
  outputs.resize(1);
  outputs[0].sizes = leaf_.sizes();
  outputs[0].dtype = leaf_.dtype();
  outputs[0].device = leaf_.device();
}

void AccumulateGrad::on_zero_refs() noexcept {
  {
    std::lock_guard<std::mutex> lock(g_mutex);
    if (leaf_.impl()->meta->accumulator == this) leaf_.impl()->meta->accumulator = nullptr;
  }
  Node::on_zero_refs();
}

Ref<Node> accumulator_of(const Tensor& leaf) {
  Meta& meta = meta_of(leaf);
  std::lock_guard<std::mutex> lock(g_mutex);
  if (meta.accumulator && meta.accumulator->try_inc_ref()) return Ref<Node>::adopt(meta.accumulator);
  Ref<Node> node(new AccumulateGrad(leaf));
  meta.accumulator = node.get();
  return node;
}

void forget_accumulator(const Tensor& leaf) {
  if (!leaf.impl()->meta) return;
  std::lock_guard<std::mutex> lock(g_mutex);
  leaf.impl()->meta->accumulator = nullptr;
}

void AccumulateGrad::apply(Backward& ctx) {
  const Tensor& g = ctx.grad();
  if (!g.defined()) return;
  Meta& meta = *leaf_.impl()->meta;
  if (is_sparse(g)) {
    if (!meta.grad.defined())
      meta.grad = own_copy(g, grad_enabled());
    else if (grad_enabled() || is_sparse(meta.grad))
      meta.grad = add_gradients(meta.grad, g);
    else
      add_sparse_(meta.grad, g);
  } else if (meta.grad.defined() && is_sparse(meta.grad)) {
    meta.grad = add_gradients(meta.grad, g);
  } else if (!meta.grad.defined()) {
    // Take the gradient itself when nobody else can see it; an expanded or shared one is copied.
    const bool ours = g.impl()->use_count() == 1 && g.storage()->use_count() == 1 && same_layout(leaf_, g);
    meta.grad = ours ? g : copy_like(grad_enabled() ? g : g.detach(), leaf_);
  } else if (grad_enabled()) {
    meta.grad = add(meta.grad, g);
  } else {
    add_(meta.grad, g);
  }
  for (const TensorHook& h : std::vector<TensorHook>(meta.post_accumulate_hooks)) h.hook->call(leaf_);
}

}  // namespace norch::autograd
