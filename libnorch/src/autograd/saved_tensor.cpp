#include "autograd/saved_tensor.h"

#include <atomic>
#include <memory>

#include "autograd/saved_hooks.h"

// What a hook packed takes the saved tensor's place: a stand-in of no elements, whose memory is the packed object, marked by
// a version that tensors don't reach. So saved tensors are no larger where nobody uses hooks, which is nearly everywhere.
namespace norch::autograd {

namespace {

constexpr uint32_t kPackedVersion = UINT32_MAX;

struct Stack {
  std::vector<Ref<SavingHooks>> hooks;
  std::string forbidden;
  size_t idle = 0;  // how many of them do not count: while a hook runs, those that were there before it
};
std::atomic<int> g_hooked{0};  // hooks of all threads
// Apart from the thread-local memory, which a library must take little of (see cmake/NorchLibrary.cmake).
thread_local std::unique_ptr<Stack> t_stack;

Stack& own_stack() {
  if (!t_stack) t_stack = std::make_unique<Stack>();
  return *t_stack;
}

SavingHooks* hooks_here() {
  if (g_hooked.load(std::memory_order_relaxed) == 0 || !t_stack) return nullptr;
  return t_stack->hooks.size() <= t_stack->idle ? nullptr : t_stack->hooks.back().get();
}

/// A packed tensor, and where its gradient goes.
struct StandIn {
  std::unique_ptr<Packed> packed;
  Edge edge;
};

/// While a hook runs: what it computes is saved as it is, but for hooks that it pushes itself.
class HookScope {
 public:
  HookScope() : previous_(std::exchange(own_stack().idle, own_stack().hooks.size())) {}
  ~HookScope() { own_stack().idle = previous_; }

 private:
  size_t previous_;
};

Tensor stand_in(SavingHooks& hooks, const Tensor& t, Edge edge) {
  auto made = std::make_unique<StandIn>();
  made->edge = std::move(edge);
  const uint32_t version = t.version();
  {
    const HookScope scope;
    const NoGrad off;
    made->packed = hooks.pack(t.detach());
  }
  NORCH_CHECK(t.version() == version, "A saved tensor pack hook is modifying its input in place. Tensors provided as input "
              "to pack hook can not be modified by in-place operations as this can lead to unexpected side-effects. Clone "
              "the tensor in the hook before changing it.");
  StandIn* raw = made.release();
  const Ref<Storage> storage =
      Storage::wrap(raw, 0, kCPU, raw, [](void* context) { delete static_cast<StandIn*>(context); });
  return Tensor(Ref<TensorImpl>(new TensorImpl(storage, Shape{0}, Shape{1}, 0, t.dtype())));
}

Edge edge_to(const Node& node, uint32_t output_nr) { return {Ref<Node>(const_cast<Node*>(&node)), output_nr}; }

Tensor with_history(const Tensor& saved, Edge edge) {
  Tensor t = shallow_copy(saved);
  t.impl()->grad_fn = std::move(edge.node);
  t.impl()->output_nr = edge.input_nr;
  return t;
}

}  // namespace

void push_saving_hooks(Ref<SavingHooks> hooks) {
  Stack& stack = own_stack();
  NORCH_CHECK(stack.forbidden.empty(), stack.forbidden);
  stack.hooks.push_back(std::move(hooks));
  g_hooked.fetch_add(1, std::memory_order_relaxed);
}

void pop_saving_hooks() {
  Stack& stack = own_stack();
  if (stack.hooks.empty()) return;
  stack.hooks.pop_back();
  g_hooked.fetch_sub(1, std::memory_order_relaxed);
}

std::string forbid_saving_hooks(const std::string& why) {
  Stack& stack = own_stack();
  NORCH_CHECK(why.empty() || stack.hooks.empty(), why);
  return std::exchange(stack.forbidden, why);
}

SavedTensor save(const Tensor& t) {
  SavedTensor s;
  if (!t.defined()) return s;
  NORCH_CHECK(!t.impl()->inference, "Inference tensors cannot be saved for backward. To work around you can make a "
                                    "clone to get a normal tensor and use it in autograd.");
  if (SavingHooks* hooks = hooks_here()) {
    s.tensor_ = stand_in(*hooks, t, t.requires_grad() ? gradient_edge(t) : Edge());
    s.version_ = kPackedVersion;
    return s;
  }
  s.tensor_ = t;
  s.version_ = t.version();
  return s;
}

SavedTensor save_output(const Tensor& t, uint32_t output_nr) {
  SavedTensor s;
  if (!t.defined()) return s;
  s.output_nr_ = output_nr;
  s.is_output_ = true;
  s.tensor_ = shallow_copy(t);
  if (SavingHooks* hooks = hooks_here()) {
    s.tensor_ = stand_in(*hooks, s.tensor_, Edge());
    s.version_ = kPackedVersion;
    return s;
  }
  // The output of an unfinished in-place op is about to be counted as written.
  s.version_ = t.version() + (t.impl()->pending_write ? 1 : 0);
  return s;
}

Tensor SavedTensor::unpack(const Node& node) const {
  if (!tensor_.defined()) return {};
  if (version_ == kPackedVersion) {
    auto& stand_in = *static_cast<StandIn*>(tensor_.storage()->data());
    const HookScope scope;
    return with_history(stand_in.packed->unpack(), is_output_ ? edge_to(node, output_nr_) : stand_in.edge);
  }
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
  return with_history(tensor_, edge_to(node, output_nr_));
}

}  // namespace norch::autograd
