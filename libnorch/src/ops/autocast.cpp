#include "ops/autocast.h"

#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "core/factory.h"
#include "core/layout.h"
#include "kernels/optim.h"
#include "norch/ops/copy.h"
#include "ops/autocast_weights.h"
#include "ops/conversion.h"

namespace norch::autocast {

namespace detail {
std::atomic<int> threads{0};
}

namespace {

/// A weight, what it was when it was cast, and its cast.
struct Cached {
  Tensor source;
  Ref<Storage> memory;
  uint32_t version = 0;
  Tensor cast;
  bool used = false;  // and recorded; a cast that was made ahead waits for its use

  bool holds(const Tensor& t, DType type) const {
    return cast.defined() && memory == t.storage() && version == memory->version() && cast.dtype() == type;
  }
};

struct State {
  bool enabled[2] = {false, false};  // by DeviceType
  DType dtype[2] = {DType::BFloat16, DType::Float16};
  bool cache = true;
  int depth = 0;
  int inside = 0;  // ops that were cast and are running
  std::unordered_map<const TensorImpl*, Cached> casts;
  std::vector<const TensorImpl*> order;  // in which the weights were cast
  Regions regions;

  bool any() const { return enabled[0] || enabled[1]; }
  ~State() {  // the thread ends
    if (any()) detail::threads.fetch_sub(1, std::memory_order_relaxed);
  }
};

// A pointer: thread-local memory is scarce for a library that is loaded late.
thread_local std::unique_ptr<State> t_state;

State& state() {
  if (!t_state) t_state = std::make_unique<State>();
  return *t_state;
}
size_t index(DeviceType device) { return static_cast<size_t>(device); }
bool has_state() { return t_state != nullptr; }

bool eligible(const Tensor& t, DeviceType device) {
  return t.defined() && t.is_floating_point() && t.dtype() != DType::Float64 && t.device().type == device;
}

bool is_weight(const Tensor& t) { return t.dtype() == DType::Float32 && t.requires_grad() && t.is_leaf(); }

/// Casts what went together with `first` in an earlier region, for use later in this one.
void cast_ahead(State& s, const Tensor& first, DType type) {
  if (itemsize(type) != 2) return;
  std::vector<std::pair<Tensor, Tensor>> pairs;
  kernels::OptimTensors list;
  for (const Tensor& t : s.regions.of(first)) {
    if (!is_weight(t) || t.device() != first.device() || t.numel() == 0) continue;
    if (!t.is_contiguous() && !is_dense(t.sizes(), t.strides())) continue;
    const Tensor to = new_like(t, type, t.device(), MemoryFormat::preserve);
    if (!same_layout(t, to)) continue;
    kernels::OptimTensor entry{};
    entry.n = t.numel();
    entry.data[0] = t.data_ptr();
    entry.data[1] = to.data_ptr();
    list.push_back(entry);
    pairs.emplace_back(t, to);
  }
  if (list.size() < 2) return;
  kernels::narrow_list(first.device(), type, list);
  for (auto& [t, to] : pairs) s.casts[t.impl()] = {t, t.storage(), t.version(), to, false};
}

}  // namespace

namespace detail {
bool active() { return has_state() && t_state->any() && t_state->inside == 0; }
}  // namespace detail

bool enabled(DeviceType device) { return has_state() && t_state->enabled[index(device)]; }
void set_enabled(DeviceType device, bool enabled) {
  State& s = state();
  const bool before = s.any();
  s.enabled[index(device)] = enabled;
  detail::threads.fetch_add(static_cast<int>(s.any()) - static_cast<int>(before), std::memory_order_relaxed);
}
DType dtype(DeviceType device) { return state().dtype[index(device)]; }
void set_dtype(DeviceType device, DType dtype) {
  NORCH_CHECK(is_floating_point(dtype), "autocast: ", dtype, " is not a floating-point dtype");
  state().dtype[index(device)] = dtype;
}

bool cache_enabled() { return state().cache; }
void set_cache_enabled(bool enabled) { state().cache = enabled; }
void clear_cache() {
  if (!has_state()) return;
  State& s = *t_state;
  TensorList weights;
  weights.reserve(s.order.size());
  for (const TensorImpl* t : s.order) weights.push_back(s.casts[t].source);
  s.regions.remember(weights);
  s.order.clear();
  s.casts.clear();
}
int enter() { return ++state().depth; }
int leave() { return --state().depth; }

Guard::Guard(DeviceType device, std::optional<DType> type, bool enabled)
    : device_(device), enabled_(autocast::enabled(device)), dtype_(dtype(device)) {
  if (type) set_dtype(device, *type);
  set_enabled(device, enabled);
  enter();
}
Guard::~Guard() {
  if (leave() == 0) clear_cache();
  set_enabled(device_, enabled_);
  state().dtype[index(device_)] = dtype_;
}

std::optional<DType> lower_dtype(const Tensor& t) {
  const DeviceType device = t.device().type;
  if (detail::threads.load(std::memory_order_relaxed) == 0 || !enabled(device) || !eligible(t, device)) return {};
  const DType lower = t_state->dtype[index(device)];
  return itemsize(lower) < t.itemsize() ? std::optional(lower) : std::nullopt;
}

Tensor cast(const Tensor& t, DType type) {
  const autograd::Meta* meta = t.impl()->meta.get();
  if (!meta || !meta->twin.defined() || meta->twin.dtype() != type || meta->twin_version != t.version()) return t.to(type);
  const Tensor out = autograd::shallow_copy(meta->twin);
  if (const Tensor sums = autograd::row_sums(meta->twin); sums.defined()) {
    autograd::set_row_sums(out, sums);
    autograd::meta_of(meta->twin).row_sums = Tensor();
  }
  if (autograd::recording(t))
    autograd::record_linear("ToCopyBackward0", {t}, {out}, [](autograd::Backward& ctx) { ctx.set(0, ctx.grad()); });
  return out;
}

void set_twin(const Tensor& t, const Tensor& twin) {
  autograd::Meta& meta = autograd::meta_of(t);
  meta.twin = twin;
  meta.twin_version = t.version();
}

bool detail::covers(const Policy& policy, const Tensor& t) {
  const DeviceType device = t.device().type;
  return enabled(device) && (device == DeviceType::CUDA ? policy.cuda : policy.cpu) && eligible(t, device);
}

void Scope::look(const Tensor& t) {
  if (!t.defined()) return;
  if (t.is_cuda() && device_ == DeviceType::CPU) {
    device_ = DeviceType::CUDA;
    floats_ = wide_ = false;
  }
  if (!eligible(t, device_)) return;
  floats_ = true;
  wide_ |= t.dtype() == DType::Float32;
}

void Scope::decide() {
  State& s = state();
  applies_ = floats_ && s.enabled[index(device_)] && (device_ == DeviceType::CUDA ? policy_.cuda : policy_.cpu);
  if (!applies_) return;
  const bool down = policy_.target == Target::Lower || (policy_.target == Target::Widest && !wide_);
  target_ = down ? s.dtype[index(device_)] : DType::Float32;
  ++s.inside;
}

Scope::~Scope() {
  if (applies_) --t_state->inside;
}

Tensor Scope::cast(const Tensor& t) const {
  if (!eligible(t, device_) || t.dtype() == target_) return t;
  State& s = *t_state;
  if (!s.cache || target_ == DType::Float32 || !is_weight(t) || !autograd::grad_enabled())
    return autocast::cast(t, target_);
  if (s.casts.empty()) cast_ahead(s, t, target_);
  Cached& entry = s.casts[t.impl()];
  const bool known = entry.used;
  if (!entry.holds(t, target_))
    entry = {t, t.storage(), t.version(), t.to(target_), true};
  else if (!known)
    record_conversion(entry.cast, t);
  entry.used = true;
  if (!known) s.order.push_back(t.impl());
  return entry.cast;
}

void weight_exposed(const Tensor& t) {
  if (detail::threads.load(std::memory_order_relaxed) == 0 || !has_state()) return;
  const auto at = t_state->casts.find(t.impl());
  if (at != t_state->casts.end() && !at->second.used) t_state->casts.erase(at);
}

TensorList Scope::cast(const TensorList& list) const {
  TensorList out;
  out.reserve(list.size());
  for (const Tensor& t : list) out.push_back(cast(t));
  return out;
}

Suspend::Suspend() {
  if (detail::threads.load(std::memory_order_relaxed) == 0 || !has_state()) return;
  cpu_ = enabled(DeviceType::CPU);
  cuda_ = enabled(DeviceType::CUDA);
  if (cpu_) set_enabled(DeviceType::CPU, false);
  if (cuda_) set_enabled(DeviceType::CUDA, false);
}
Suspend::~Suspend() {
  if (cpu_) set_enabled(DeviceType::CPU, true);
  if (cuda_) set_enabled(DeviceType::CUDA, true);
}

}  // namespace norch::autocast
