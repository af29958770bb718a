#include "autograd/node.h"

#include <atomic>

#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops.h"
#include "norch/profiler.h"

namespace norch::autograd {

namespace {
std::atomic<uint64_t> g_sequence{0};
std::atomic<std::string (*)()> g_anomaly_context{nullptr};
}  // namespace

void set_anomaly_context(std::string (*source)()) { g_anomaly_context.store(source); }

Node::Node() : sequence_nr(g_sequence.fetch_add(1, std::memory_order_relaxed)) {
  if (anomaly_enabled()) {
    if (auto* source = g_anomaly_context.load()) forward_context = source();
  }
}

void Node::on_zero_refs() noexcept {
  // Deleting a node drops its edges, which may delete the next node, and so on: a recursion as deep as the graph. So
  // only the outermost call deletes; the others leave their node on its list.
  using List = SmallVector<Node*, 32>;
  thread_local List* pending = nullptr;
  if (pending) {
    pending->emplace_back(this);
    return;
  }
  List list;
  pending = &list;
  delete this;
  while (!list.empty()) {
    Node* node = list.back();
    list.resize(list.size() - 1);
    delete node;
  }
  pending = nullptr;
}

}  // namespace norch::autograd

int64_t norch::profiler::detail::next_sequence() {
  return autograd::grad_enabled() ? static_cast<int64_t>(autograd::g_sequence.load(std::memory_order_relaxed)) : -1;
}

namespace norch::autograd {

Tensor Backward::grad_or_zeros(size_t i) const {
  if (grads_[i].defined()) return grads_[i];
  const OutputMeta& m = node_.outputs[i];
  return zeros(m.sizes, TensorOptions(m.dtype).device(m.device));
}

Tensor Backward::get(const SavedTensor& s) const { return s.unpack(node_); }

Meta& meta_of(const Tensor& t) {
  auto& meta = t.impl()->meta;
  if (!meta) meta = std::make_unique<Meta>();
  return *meta;
}

Edge gradient_edge(const Tensor& t) {
  if (!t.defined()) return {};
  if (const Ref<Node>& node = t.grad_fn()) return {node, t.impl()->output_nr};
  if (t.impl()->requires_grad) return {accumulator_of(t), 0};
  return {};
}

Tensor base_of(const Tensor& t) { return t.impl()->meta ? t.impl()->meta->base : Tensor(); }

Tensor shallow_copy(const Tensor& t) {
  return Tensor(Ref<TensorImpl>(new TensorImpl(t.storage(), t.sizes(), t.strides(), t.storage_offset(), t.dtype())));
}

void set_row_sums(const Tensor& grad, const Tensor& sums) {
  Meta& meta = meta_of(grad);
  meta.row_sums = sums;
  meta.row_sums_version = grad.version();
}

Tensor row_sums(const Tensor& grad) {
  const Meta* meta = grad.impl()->meta.get();
  return meta && meta->row_sums.defined() && meta->row_sums_version == grad.version() ? meta->row_sums : Tensor();
}

namespace detail {

void connect(Node& node, TensorRefs inputs) {
  node.next_edges.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = inputs[i];
    if (!t.defined()) continue;
    if (Edge edge = gradient_edge(t); edge.node) node.next_edges[i] = std::move(edge);
  }
}

void attach(const Ref<Node>& node, TensorRefs outputs) {
  node->outputs.resize(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& t = outputs[i];
    if (!t.defined()) continue;
    TensorImpl& impl = *t.impl();
    OutputMeta& m = node->outputs[i];
    m.sizes = impl.sizes;
    m.dtype = impl.dtype;
    m.device = impl.device;
    if (!is_differentiable(impl.dtype)) continue;
    impl.grad_fn = node;
    impl.output_nr = static_cast<uint32_t>(i);
    if (impl.meta) impl.meta->grad_fn_version = t.version();
  }
}

void freed_twice() {
  NORCH_RAISE(Error,
              "Trying to backward through the graph a second time (or directly access saved tensors after they have "
              "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
              "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
              "if you need to access saved tensors after calling backward.");
}

}  // namespace detail
}  // namespace norch::autograd

namespace norch {

const Ref<autograd::Node>& Tensor::grad_fn() const {
  using namespace autograd;
  TensorImpl& impl = checked();
  if (!impl.meta || !impl.meta->base.defined()) return impl.grad_fn;
  Meta& meta = *impl.meta;
  if (meta.grad_fn_version == version()) return impl.grad_fn;
  // The base was written to in place after this view was made: its history now goes through the base's new one.
  meta.grad_fn_version = version();
  if (meta.base.requires_grad()) {
    GradMode on(true);
    Tensor again = ViewGeometry(meta.base, *this).take(meta.base);
    impl.grad_fn = again.impl()->grad_fn;
    impl.output_nr = again.impl()->output_nr;
  }
  return impl.grad_fn;
}

}  // namespace norch
