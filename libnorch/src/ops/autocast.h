// How an op takes part in autocasting: one line at the beginning of its front,
//
//   Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
//     NORCH_AUTOCAST(lower, linear, input, weight, bias);
//
// which calls the op again with its tensors cast where the policy applies, and goes on where it does not. While no thread
// autocasts, the line is one load of a number that never changes.
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include "norch/autocast.h"

namespace norch::autocast {

/// What is cast to: the autocast dtype, float32, or the widest of the tensors' dtypes.
enum class Target { Lower, Float32, Widest };
/// The devices whose ops are cast: PyTorch's lists differ.
struct Policy {
  Target target;
  bool cpu, cuda;
};
inline constexpr Policy lower{Target::Lower, true, true};
inline constexpr Policy lower_cuda{Target::Lower, false, true};
inline constexpr Policy float32{Target::Float32, true, true};
inline constexpr Policy float32_cpu{Target::Float32, true, false};
inline constexpr Policy float32_cuda{Target::Float32, false, true};
inline constexpr Policy widest_cpu{Target::Widest, true, false};
inline constexpr Policy widest_cuda{Target::Widest, false, true};

namespace detail {
/// How many threads autocast.
extern std::atomic<int> threads;
bool active();
}  // namespace detail

/// Whether ops of this thread are to be cast: autocasting is on for a device, and no op that was cast is running.
inline bool on() { return detail::threads.load(std::memory_order_relaxed) != 0 && detail::active(); }

namespace detail {
bool covers(const Policy& policy, const Tensor& t);
}
/// For ops with an argument `dtype`: sets one that was left out to float32 where the policy says so.
inline void widen(std::optional<DType>& dtype, const Tensor& t, const Policy& policy) {
  if (on() && !dtype && detail::covers(policy, t)) dtype = DType::Float32;
}
/// Whether an op on t that no dtype makes safe is called while its device autocasts.
inline bool forbidden(const Tensor& t, const Policy& policy) { return on() && detail::covers(policy, t); }

/// The dtype that most ops would cast `t` to: the autocast dtype of its device, if that is narrower than t's; nothing
/// where its device does not autocast.
std::optional<DType> lower_dtype(const Tensor& t);
/// Keeps `twin`, which holds the values of `t` in another dtype, beside t: a cast of t to that dtype takes it, unless t is
/// written to first. For an op whose result mostly goes into ops of the lower dtype, and which can write both at once.
void set_twin(const Tensor& t, const Tensor& twin);
/// t.to(type), or the twin of t.
Tensor cast(const Tensor& t, DType type);

/// What a policy means for an op with certain arguments. While it is true and lives, no other op is cast.
class Scope {
 public:
  template <class... A>
  explicit Scope(const Policy& policy, const A&... args) : policy_(policy) {
    (look(args), ...);
    decide();
  }
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  explicit operator bool() const { return applies_; }

  /// f of the arguments, tensors cast.
  template <class F, class... A>
  decltype(auto) call(const F& f, const A&... args) const {
    return f(cast(args)...);
  }

 private:
  void look(const Tensor& t);
  void look(const TensorList& list) {
    for (const Tensor& t : list) look(t);
  }
  void look(const std::optional<Tensor>& t) {
    if (t) look(*t);
  }
  template <class T>
  void look(const T&) {}
  void decide();

  Tensor cast(const Tensor& t) const;
  TensorList cast(const TensorList& list) const;
  std::optional<Tensor> cast(const std::optional<Tensor>& t) const { return t ? std::optional(cast(*t)) : t; }
  template <class T>
  const T& cast(const T& value) const {
    return value;
  }

  Policy policy_;
  bool applies_ = false, floats_ = false, wide_ = false;
  DeviceType device_ = DeviceType::CPU;
  DType target_ = DType::Float32;
};

/// Switches autocasting off for a scope (a backward pass: its ops take the dtypes of the forward's).
class Suspend {
 public:
  Suspend();
  ~Suspend();
  Suspend(const Suspend&) = delete;
  Suspend& operator=(const Suspend&) = delete;

 private:
  bool cpu_ = false, cuda_ = false;
};

}  // namespace norch::autocast

#define NORCH_AUTOCAST(policy, op, ...)                                             \
  if (::norch::autocast::on())                                                      \
    if (const ::norch::autocast::Scope scope(::norch::autocast::policy, __VA_ARGS__); scope) \
  return scope.call([](const auto&... args) { return op(args...); }, __VA_ARGS__)
