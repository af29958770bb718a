#include "autograd/pass.h"

#include <algorithm>
#include <atomic>

#include "autograd/node_hooks.h"
#include "autograd/sparse_grad.h"
#include "core/factory.h"
#include "norch/ops.h"
#include "norch/profiler.h"
#include "ops/autocast.h"
#include "ops/reduce_common.h"

namespace norch::autograd {

namespace {

thread_local Pass* t_pass = nullptr;  // the innermost that runs
std::atomic<int64_t> g_passes{0};

bool is_narrower(DType a, DType b) {
  return is_floating_point(a) && is_floating_point(b) && itemsize(a) < itemsize(b);
}

/// The gradient of what was broadcast from `sizes`, of dtype `type` if it has to be added up and can be so at once.
Tensor reduced(const Tensor& g, Ints sizes, DType type) {
  if (Tensor sums = grad_enabled() ? Tensor() : row_sums(g); sums.defined() && sums.sizes() == sizes) {
    meta_of(g).row_sums = Tensor();  // nobody else holds what becomes a gradient
    return sums;
  }
  return sum_to_size(g, sizes, is_narrower(g.dtype(), type) ? std::optional(type) : std::nullopt);
}

/// Whether a gradient is nobody else's.
bool may_add_to(const Tensor& g) {
  return !is_sparse(g) && g.impl()->use_count() == 1 && g.storage()->use_count() == 1 && g.is_contiguous();
}

void run_hooks(Node& node, SmallVector<Tensor, 2>& grads) {
  const Tensor leaf = node.variable();
  const Meta* meta = leaf.defined() ? leaf.impl()->meta.get() : nullptr;
  const std::vector<Node::TensorHook>& hooks = meta ? meta->leaf_hooks : node.hooks;
  if (hooks.empty()) return;
  // Copied, because a hook may remove itself.
  for (const Node::TensorHook& h : std::vector<Node::TensorHook>(hooks)) {
    if (is_node_hook(h)) continue;
    Tensor& g = grads[h.output_nr];
    if (!g.defined()) continue;
    Tensor replaced = h.hook->call(g);
    if (replaced.defined()) g = std::move(replaced);
  }
}

/// Calls `f` with each hook of the whole node.
template <class F>
void each_node_hook(const Node& node, const F& f) {
  for (const Node::TensorHook& h : std::vector<Node::TensorHook>(node.hooks))
    if (is_node_hook(h)) f(static_cast<NodeHook&>(*h.hook));
}

[[gnu::noinline]] void apply_with_hooks(Node& node, Backward& ctx, SmallVector<Tensor, 2>& grads,
                                        SmallVector<Tensor, 4>& given) {
  const profiler::Range range([&] { return node.name(); }, profiler::Kind::Backward,
                              static_cast<int64_t>(node.sequence_nr));
  each_node_hook(node, [&](NodeHook& h) { h.before(grads); });
  node.apply(ctx);
  each_node_hook(node, [&](NodeHook& h) { h.after(given, grads); });
}

void check_anomaly(const Node& node, const SmallVector<Tensor, 4>& given) {
  if (!anomaly_check_nan()) return;
  NoGrad off;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i].defined()) continue;
    const Tensor& g = is_sparse(given[i]) ? sparse_parts(given[i])->values : given[i];
    if (sum(ne(g, g)).item<int64_t>() == 0) continue;
    NORCH_RAISE(Error, "Function '", node.name(), "' returned nan values in its ", i, "th output.",
                node.forward_context.empty() ? "" : " The forward op was called here:\n", node.forward_context);
  }
}

}  // namespace

Pass* Pass::current() { return t_pass; }

int64_t Pass::number() {
  if (number_ < 0) number_ = g_passes.fetch_add(1, std::memory_order_relaxed);
  return number_;
}

bool Pass::runs_numbered(uint64_t sequence_nr) {
  for (uint32_t task = 0; task < tasks_.size(); ++task)
    if (tasks_[task].node->sequence_nr == sequence_nr) return runs(task);
  return false;
}

bool Pass::runs(uint32_t task) const {
  return tasks_[task].needed ||
         std::any_of(captures_.begin(), captures_.end(), [task](const Capture& c) { return c.task == task; });
}

void Pass::add_root(const Edge& edge, const Tensor& grad) {
  const uint32_t task = discover(edge.node.get());
  if (tasks_[task].grads.empty()) tasks_[task].grads.resize(edge.node->outputs.size());
  add_to(tasks_[task].grads[edge.input_nr], grad);
  keep_alive_.push_back(edge.node);
}

void Pass::prepare(const std::vector<Edge>* captures, const std::vector<Edge>* accumulate) {
  for (size_t i = 0; i < tasks_.size(); ++i) {
    Node* node = tasks_[i].node;
    for (const Edge& e : node->next_edges)
      if (e.node) tasks_[discover(e.node.get())].waiting_for++;
  }
  if (!captures && !accumulate) return;
  for (Task& t : tasks_) t.needed = false;
  if (captures) {
    for (size_t i = 0; i < captures->size(); ++i) {
      const Edge& e = (*captures)[i];
      const uint32_t task = discover(e.node.get());
      captures_.push_back({task, e.input_nr, i});
    }
  }
  if (accumulate) {
    for (const Edge& e : *accumulate) tasks_[discover(e.node.get())].needed = true;
  }
  std::vector<bool> captured(tasks_.size(), false);
  for (const Capture& c : captures_) captured[c.task] = true;
  // Edges lead to nodes recorded earlier, so in order of recording every node comes after those that it leads to.
  // AccumulateGrad has the highest number but no edges.
  std::vector<uint32_t> order(tasks_.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return tasks_[a].node->sequence_nr < tasks_[b].node->sequence_nr; });
  for (uint32_t i : order) {
    for (const Edge& e : tasks_[i].node->next_edges) {
      if (!e.node) continue;
      const uint32_t next = index_.at(e.node.get());
      if (tasks_[next].needed || captured[next]) tasks_[i].needed = true;
    }
  }
}

Tensor Pass::take_sum(const Node& node, size_t i) {
  const Edge& e = node.next_edges[i];
  if (mode_ || !e.node || !node.hooks.empty()) return {};
  Task& task = tasks_[index_.at(e.node.get())];
  if (task.grads.empty()) return {};
  Tensor& slot = task.grads[e.input_nr];
  const OutputMeta& m = e.node->outputs[e.input_nr];
  if (!slot.defined() || slot.dtype() != m.dtype || slot.sizes() != Ints(m.sizes) || !may_add_to(slot) ||
      reinterpret_cast<uintptr_t>(slot.data_ptr()) % 16 != 0)
    return {};
  return std::exchange(slot, Tensor());
}

void Pass::run(TensorList* results) {
  GradMode grad_mode(mode_);
  struct Current {
    explicit Current(Pass* pass) : outer(std::exchange(t_pass, pass)) {}
    ~Current() { t_pass = outer; }
    Pass* outer;
  } const current(this);
  for (uint32_t i = 0; i < tasks_.size(); ++i)
    if (tasks_[i].waiting_for == 0 && !tasks_[i].grads.empty()) push_ready(i);
  while (!ready_.empty()) {
    std::pop_heap(ready_.begin(), ready_.end());
    const uint32_t task = ready_.back().second;
    ready_.pop_back();
    if (profiler::on())
      process_recorded(task, results);
    else
      process(task, results);
  }
}

uint32_t Pass::discover(Node* node) {
  const uint32_t next = static_cast<uint32_t>(tasks_.size());
  const uint32_t task = index_.find_or_insert(node, next);
  if (task == next) tasks_.emplace_back(Task{node, 0, true, {}});
  return task;
}

void Pass::push_ready(uint32_t task) {
  ready_.emplace_back(tasks_[task].node->sequence_nr, task);
  std::push_heap(ready_.begin(), ready_.end());
}

void Pass::add_to(Tensor& slot, Tensor grad) {
  if (!slot.defined()) {
    slot = std::move(grad);
  } else if (is_sparse(slot) || is_sparse(grad)) {
    slot = add_gradients(slot, grad);
  } else if (!mode_ && may_add_to(slot) && slot.sizes() == grad.sizes()) {
    add_(slot, grad);
  } else {
    slot = add(slot, grad);
  }
}

[[gnu::noinline]] void Pass::process_recorded(uint32_t index, TensorList* results) {
  const Node& node = *tasks_[index].node;
  const profiler::Range range([&] { return "autograd::engine::evaluate_function: " + node.name(); },
                              profiler::Kind::Backward, static_cast<int64_t>(node.sequence_nr));
  process(index, results);
}

void Pass::process(uint32_t index, TensorList* results) {
  // Moved out: the vector of tasks does not grow any more, but the gradients should die with this call.
  SmallVector<Tensor, 2> grads = std::move(tasks_[index].grads);
  Node& node = *tasks_[index].node;
  const bool any = std::any_of(grads.begin(), grads.end(), [](const Tensor& g) { return g.defined(); });
  if (any) {
    run_hooks(node, grads);
    for (const Capture& c : captures_)
      if (c.task == index) (*results)[c.result] = grads[c.output_nr];
  }
  const size_t n = node.next_edges.size();
  SmallVector<Tensor, 4> given(n);
  if (any && tasks_[index].needed) {
    uint64_t needs = 0;
    for (size_t i = 0; i < n; ++i) {
      const Edge& e = node.next_edges[i];
      if (e.node && wanted(e)) needs |= uint64_t{1} << std::min<size_t>(i, 63);
    }
    if (needs || n == 0) {
      // Only leaves keep sparse gradients; no op's backward knows them.
      if (n != 0) {
        for (Tensor& g : grads)
          if (g.defined() && is_sparse(g)) g = to_dense(g);
      }
      Backward ctx(node, grads, given, needs, this);
      if (node.hooks.empty() && !profiler::on())
        node.apply(ctx);
      else
        apply_with_hooks(node, ctx, grads, given);
      if (anomaly_enabled()) check_anomaly(node, given);
    }
    if (!retain_) node.release_saved();
  }
  grads.clear();
  for (size_t i = 0; i < n; ++i) {
    const Edge& e = node.next_edges[i];
    if (e.node) deliver(node, e, i, std::move(given[i]));
  }
}

bool Pass::takes_one(const Edge& e) {
  const Task& task = tasks_[index_.at(e.node.get())];
  return !mode_ && task.waiting_for == 1 && e.node->hooks.empty() && captures_.empty() &&
         (task.grads.empty() || !task.grads[e.input_nr].defined());
}

DType Pass::best_dtype(const Edge& e) {
  const OutputMeta& m = e.node->outputs[e.input_nr];
  if (!m.takes_wide || !takes_one(e)) return m.dtype;
  const Edge& next = e.node->next_edges[0];
  return next.node ? next.node->outputs[next.input_nr].dtype : m.dtype;
}

bool Pass::wanted(const Edge& e) {
  const uint32_t next = index_.at(e.node.get());
  if (tasks_[next].needed) return true;
  return std::any_of(captures_.begin(), captures_.end(),
                     [&](const Capture& c) { return c.task == next && c.output_nr == e.input_nr; });
}

void Pass::deliver(const Node& from, const Edge& e, size_t i, Tensor g) {
  const uint32_t next = index_.at(e.node.get());
  Task& task = tasks_[next];
  if (task.grads.empty()) task.grads.resize(e.node->outputs.size());
  if (g.defined()) {
    const OutputMeta& m = e.node->outputs[e.input_nr];
    NORCH_CHECK(g.device() == m.device, from.name(), ": returned a gradient on ", g.device(), " for input ", i,
                ", which is on ", m.device);
    if (const SparseParts* parts = sparse_parts(g)) {
      if (g.sizes() != Ints(m.sizes))
        g = to_dense(g);
      else if (g.dtype() != m.dtype)
        g = make_sparse(parts->indices, parts->values.to(m.dtype), g.sizes(), parts->coalesced);
    }
    if (g.sizes() != Ints(m.sizes)) g = reduced(g, m.sizes, best_dtype(e));
    Tensor& slot = task.grads[e.input_nr];
    if (slot.defined() && slot.dtype() != m.dtype && !is_sparse(slot)) slot = slot.to(m.dtype);
    const bool as_it_is = ((m.takes_narrow && is_narrower(g.dtype(), m.dtype)) ||
                           (m.takes_wide && is_narrower(m.dtype, g.dtype()))) && takes_one(e);
    // A real input of a complex result: what is left of the gradient is its real part, which the cast takes.
    if (g.dtype() != m.dtype && !as_it_is) g = autocast::cast(g, m.dtype);
    add_to(slot, std::move(g));
  }
  if (--task.waiting_for == 0) push_ready(next);
}

Tensor Backward::take_sum(size_t i) const { return pass_ ? pass_->take_sum(node_, i) : Tensor(); }

std::optional<Backward::Cast> Backward::cast_next(size_t i) const {
  const Edge& to = node_.next_edges[i];
  if (!to.node || !pass_) return {};
  const DType own = to.node->outputs[to.input_nr].dtype;
  for (const Edge& e : to.node->next_edges) {
    if (!e.node) continue;
    const OutputMeta& m = e.node->outputs[e.input_nr];
    if (is_narrower(m.dtype, own)) return Cast{m.dtype, m.takes_row_sums};
  }
  return {};
}

DType Backward::best_dtype(size_t i) const {
  const Edge& e = node_.next_edges[i];
  return pass_ ? pass_->best_dtype(e) : e.node->outputs[e.input_nr].dtype;
}

bool Backward::wants_row_sums(size_t i) const {
  const Edge& e = node_.next_edges[i];
  return e.node && pass_ && e.node->outputs[e.input_nr].takes_row_sums;
}

Tensor Backward::room_like(const Tensor& saved) const {
  const auto alone = [](const TensorImpl& t, uint32_t holders) { return t.use_count() <= holders && !t.owns_py_object; };
  // Holders: the saved tensor and the caller's handle; the memory's: this tensor, and the one that it is a view of.
  const Tensor base = base_of(saved);
  const uint32_t tensors = base.defined() ? 2 : 1;
  if (pass_ && pass_->drops_saved() && saved.is_contiguous() && alone(*saved.impl(), 2) && saved.storage()->use_count() == tensors &&
      (!base.defined() || alone(*base.impl(), 2)))
    return shallow_copy(saved);
  return new_tensor(saved.sizes(), saved.dtype(), saved.device());
}

}  // namespace norch::autograd
