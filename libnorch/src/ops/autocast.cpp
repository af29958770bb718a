#include "ops/autocast.h"

#include <memory>
#include <unordered_map>

#include "autograd/record.h"
#include "norch/ops/copy.h"

namespace norch::autocast {

namespace detail {
std::atomic<int> threads{0};
}

namespace {

/// A weight, what it was when it was cast, and its cast.
struct Cached {
  Tensor source;
  uint32_t version;
  Tensor cast;
};

struct State {
  bool enabled[2] = {false, false};  // by DeviceType
  DType dtype[2] = {DType::BFloat16, DType::Float16};
  bool cache = true;
  int depth = 0;
  int inside = 0;  // ops that were cast and are running
  std::unordered_map<const TensorImpl*, Cached> casts;

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
  if (has_state()) t_state->casts.clear();
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
    autograd::record("ToCopyBackward0", {t}, {out}, [](autograd::Backward& ctx) { ctx.set(0, ctx.grad()); });
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
  const bool weight = s.cache && target_ != DType::Float32 && t.dtype() == DType::Float32 && t.requires_grad() &&
                      t.is_leaf() && autograd::grad_enabled();
  if (!weight) return autocast::cast(t, target_);
  Cached& entry = s.casts[t.impl()];
  const uint32_t version = t.storage()->version();
  if (!entry.cast.defined() || entry.version != version || entry.cast.dtype() != target_)
    entry = {t, version, t.to(target_)};
  return entry.cast;
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
