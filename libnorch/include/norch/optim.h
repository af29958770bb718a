// Optimizers: fused update steps for whole lists of parameters, and classes that keep their state.
//
// A step walks each parameter's memory once: it reads gradient and state and writes parameter and state, in one kernel
// per dtype and device on CUDA (a few for very long lists). Updates are not recorded by autograd; they count as in-place
// writes, so a graph that saved an old value notices. The 16-bit floats compute in float32 and round once on storing.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "norch/tensor.h"

namespace norch::optim {

// An option with its default: `o.lr(0.1)` sets it and returns the options, `o.lr()` reads it.
#define NORCH_OPTION(Self, T, name, value) \
 public:                                   \
  Self& name(T v) {                        \
    name##_ = v;                           \
    return *this;                          \
  }                                        \
  T name() const { return name##_; }       \
                                           \
 private:                                  \
  T name##_ = value;

/// With g the gradient (negated by `maximize`):
///   g = g + weight_decay * p;  v = momentum * v + (1 - dampening) * g  (v = g the first time)
///   g = nesterov ? g + momentum * v : v;  p = p - lr * g
class SgdOptions {
  NORCH_OPTION(SgdOptions, double, lr, 1e-3)
  NORCH_OPTION(SgdOptions, double, momentum, 0)
  NORCH_OPTION(SgdOptions, double, dampening, 0)
  NORCH_OPTION(SgdOptions, double, weight_decay, 0)
  NORCH_OPTION(SgdOptions, bool, nesterov, false)
  NORCH_OPTION(SgdOptions, bool, maximize, false)
};

/// m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
/// p = p - lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
/// with g = g + weight_decay * p before, or `decoupled` (AdamW) p = p * (1 - lr * weight_decay). `amsgrad` uses the
/// greatest v so far. `capturable`: the class Adam keeps its step counts on the parameters' GPU, where a CUDA graph that
/// a step was captured in advances them.
class AdamOptions {
  NORCH_OPTION(AdamOptions, double, lr, 1e-3)
  NORCH_OPTION(AdamOptions, double, beta1, 0.9)
  NORCH_OPTION(AdamOptions, double, beta2, 0.999)
  NORCH_OPTION(AdamOptions, double, eps, 1e-8)
  NORCH_OPTION(AdamOptions, double, weight_decay, 0)
  NORCH_OPTION(AdamOptions, bool, amsgrad, false)
  NORCH_OPTION(AdamOptions, bool, maximize, false)
  NORCH_OPTION(AdamOptions, bool, decoupled, false)
  NORCH_OPTION(AdamOptions, bool, capturable, false)
};

/// g = g + weight_decay * p;  s = alpha * s + (1 - alpha) * g^2;  a = sqrt(s) + eps
/// with `centered` a = sqrt(s - m^2) + eps for m = alpha * m + (1 - alpha) * g
/// p = p - lr * g / a, or with momentum b = momentum * b + g / a;  p = p - lr * b
class RmspropOptions {
  NORCH_OPTION(RmspropOptions, double, lr, 1e-2)
  NORCH_OPTION(RmspropOptions, double, alpha, 0.99)
  NORCH_OPTION(RmspropOptions, double, eps, 1e-8)
  NORCH_OPTION(RmspropOptions, double, weight_decay, 0)
  NORCH_OPTION(RmspropOptions, double, momentum, 0)
  NORCH_OPTION(RmspropOptions, bool, centered, false)
  NORCH_OPTION(RmspropOptions, bool, maximize, false)
};

/// m = lerp(m, g, 1 - beta1);  u = max(beta2 * u, |g| + eps);  p = p - lr / (1 - beta1^step) * m / u
class AdamaxOptions {
  NORCH_OPTION(AdamaxOptions, double, lr, 2e-3)
  NORCH_OPTION(AdamaxOptions, double, beta1, 0.9)
  NORCH_OPTION(AdamaxOptions, double, beta2, 0.999)
  NORCH_OPTION(AdamaxOptions, double, eps, 1e-8)
  NORCH_OPTION(AdamaxOptions, double, weight_decay, 0)
  NORCH_OPTION(AdamaxOptions, bool, maximize, false)
};

/// Adam with Nesterov's momentum, whose weight is mu(step) = beta1 * (1 - 0.96^(step * momentum_decay) / 2):
/// p = p - lr * ((1 - mu(t)) / (1 - mu(1) ... mu(t)) * g + mu(t + 1) / (1 - mu(1) ... mu(t + 1)) * m) / d
/// with d = sqrt(v / (1 - beta2^t)) + eps.
class NadamOptions {
  NORCH_OPTION(NadamOptions, double, lr, 2e-3)
  NORCH_OPTION(NadamOptions, double, beta1, 0.9)
  NORCH_OPTION(NadamOptions, double, beta2, 0.999)
  NORCH_OPTION(NadamOptions, double, eps, 1e-8)
  NORCH_OPTION(NadamOptions, double, weight_decay, 0)
  NORCH_OPTION(NadamOptions, double, momentum_decay, 4e-3)
  NORCH_OPTION(NadamOptions, bool, decoupled, false)
  NORCH_OPTION(NadamOptions, bool, maximize, false)
};

/// Adam whose adaptive step is rectified by r(step), and left out while v is known too badly: with m' = m / (1 - beta1^t),
/// rho = 2 / (1 - beta2) - 1 and rho(t) = rho - 2 t beta2^t / (1 - beta2^t),
/// p = p - lr * m' * r(t) * sqrt(1 - beta2^t) / (sqrt(v) + eps) if rho(t) > 5, else p = p - lr * m'.
class RadamOptions {
  NORCH_OPTION(RadamOptions, double, lr, 1e-3)
  NORCH_OPTION(RadamOptions, double, beta1, 0.9)
  NORCH_OPTION(RadamOptions, double, beta2, 0.999)
  NORCH_OPTION(RadamOptions, double, eps, 1e-8)
  NORCH_OPTION(RadamOptions, double, weight_decay, 0)
  NORCH_OPTION(RadamOptions, bool, decoupled, false)
  NORCH_OPTION(RadamOptions, bool, maximize, false)
};

/// s = s + g^2;  p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps);  s starts at initial_accumulator_value.
class AdagradOptions {
  NORCH_OPTION(AdagradOptions, double, lr, 1e-2)
  NORCH_OPTION(AdagradOptions, double, lr_decay, 0)
  NORCH_OPTION(AdagradOptions, double, weight_decay, 0)
  NORCH_OPTION(AdagradOptions, double, initial_accumulator_value, 0)
  NORCH_OPTION(AdagradOptions, double, eps, 1e-10)
  NORCH_OPTION(AdagradOptions, bool, maximize, false)
};

/// v = rho * v + (1 - rho) * g^2;  d = sqrt(a + eps) / sqrt(v + eps) * g;  a = rho * a + (1 - rho) * d^2;  p = p - lr * d
class AdadeltaOptions {
  NORCH_OPTION(AdadeltaOptions, double, lr, 1)
  NORCH_OPTION(AdadeltaOptions, double, rho, 0.9)
  NORCH_OPTION(AdadeltaOptions, double, eps, 1e-6)
  NORCH_OPTION(AdadeltaOptions, double, weight_decay, 0)
  NORCH_OPTION(AdadeltaOptions, bool, maximize, false)
};

/// Each element has a step size (lr at first, kept in [min_step, max_step]) that grows by `eta_plus` while its
/// gradient keeps its sign; when the sign changes it shrinks by `eta_minus` and the gradient counts as 0.
/// p = p - sign(g) * step_size
class RpropOptions {
  NORCH_OPTION(RpropOptions, double, lr, 1e-2)
  NORCH_OPTION(RpropOptions, double, eta_minus, 0.5)
  NORCH_OPTION(RpropOptions, double, eta_plus, 1.2)
  NORCH_OPTION(RpropOptions, double, min_step, 1e-6)
  NORCH_OPTION(RpropOptions, double, max_step, 50)
  NORCH_OPTION(RpropOptions, bool, maximize, false)
};

/// p = p * (1 - lambd * eta) - eta * g;  ax = ax + mu * (p - ax): the average of p from step t0 on. For the next step
/// eta = lr / (1 + lambd * lr * step)^alpha (lr at first) and mu = 1 / max(1, step - t0).
class AsgdOptions {
  NORCH_OPTION(AsgdOptions, double, lr, 1e-2)
  NORCH_OPTION(AsgdOptions, double, lambd, 1e-4)
  NORCH_OPTION(AsgdOptions, double, alpha, 0.75)
  NORCH_OPTION(AsgdOptions, double, t0, 1e6)
  NORCH_OPTION(AsgdOptions, double, weight_decay, 0)
  NORCH_OPTION(AsgdOptions, bool, maximize, false)
};

#undef NORCH_OPTION

/// The rules that `rule_step` takes. With g the gradient, negated by `maximize`, plus weight_decay * p; `decoupled`
/// weight decay is p = p * (1 - lr * weight_decay) instead.
using Rule = std::variant<AdamaxOptions, NadamOptions, RadamOptions, AdagradOptions, AdadeltaOptions, RpropOptions,
                          AsgdOptions>;

/// What a rule keeps: `arrays[k][i]` like parameter i, and `numbers[k][i]`, float32 or float64 tensors without dims on the
/// CPU, the first of which is the step count.
///   Adamax: exp_avg, exp_inf; step             NAdam: exp_avg, exp_avg_sq; step, mu_product
///   RAdam: exp_avg, exp_avg_sq; step           Adagrad: sum; step
///   Adadelta: square_avg, acc_delta; step      Rprop: prev, step_size; step
///   ASGD: ax; step, eta, mu
struct RuleState {
  std::vector<TensorList> arrays, numbers;
};

/// One step for all parameters. Entry i of every list belongs to params[i]; `grads` left out means each parameter's own
/// `.grad`. A parameter without gradient is skipped. Undefined state entries are made here (a list shorter than the
/// parameters, such as an empty one, is extended), so a caller starts with empty lists and keeps them. Complex parameters
/// are treated as pairs of real ones. Where `found_inf` is given, a float32 tensor of one element on the parameters'
/// device, nothing is done if it is not zero; no value travels to the CPU for that.
/// \throws Error when a gradient or state tensor differs from its parameter in shape, dtype or device, and in the capture
/// of a CUDA graph where the step would have to make state or count on the CPU; ValueError for options out of range.
/// Nothing has been written then.
NORCH_API void sgd_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& momentum_buffers,
                        const SgdOptions& options, bool first_step = false, const Tensor& found_inf = {});
/// `steps` counts from 1, this one included: one number for all, or one per parameter.
NORCH_API void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
                         TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, Ints steps, const AdamOptions& options);
/// The same with the step counts in tensors without dims, one per parameter; they hold the steps before this one, which
/// is added. Undefined ones start at 0. Counts are float32 or float64 on the CPU, or float32 on their parameter's GPU:
/// then nothing of them is known to the CPU, so that the step can be part of a CUDA graph. The results are those of the
/// overload above, bit for bit.
NORCH_API void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
                         TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, TensorList& steps,
                         const AdamOptions& options, const Tensor& found_inf = {});
NORCH_API void rmsprop_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& square_avgs,
                            TensorList& grad_avgs, TensorList& momentum_buffers, const RmspropOptions& options);
/// One step of any of the other rules.
NORCH_API void rule_step(const TensorList& params, const std::optional<TensorList>& grads, RuleState& state,
                         const Rule& rule);
/// Adds 1 to each step count, a tensor without dims.
NORCH_API void count_step(const TensorList& steps);

/// Drops every parameter's gradient, or fills it with zeros.
NORCH_API void zero_grad(const TensorList& params, bool set_to_none = true);

/// Scales the gradients (undefined ones are skipped) in place so that their joint norm, sum(|g|^p)^(1/p), is at most
/// `max_norm`; returns the norm that they had. Does not wait for the device unless `error_if_nonfinite`.
/// \throws Error when the norm is not finite and `error_if_nonfinite`.
NORCH_API Tensor clip_grad_norm_(const TensorList& grads, double max_norm, double norm_type = 2,
                                 bool error_if_nonfinite = false);

/// For loss scaling: multiplies the gradients (undefined ones are skipped) in place by `inverse_scale`, and sets
/// `found_inf` to 1 if any element was inf or NaN. Both are float32 tensors of one element on the gradients' device;
/// nothing waits for the device. One kernel per dtype.
/// \throws Error when a gradient lies on another device or is not floating-point or complex.
NORCH_API void unscale_(const TensorList& grads, const Tensor& inverse_scale, const Tensor& found_inf);
/// The scale of the next step: times `backoff` if `found_inf` is not 0; else times `growth` after `interval` steps in a
/// row, which the int32 number `growth_tracker` counts, unless that would be infinite. Does not wait for the device.
NORCH_API void update_scale_(const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf, double growth,
                             double backoff, int64_t interval);

/// What all optimizers share.
class NORCH_API Optimizer {
 public:
  explicit Optimizer(TensorList params);
  virtual ~Optimizer() = default;
  /// Updates every parameter that has a gradient.
  virtual void step() = 0;
  void zero_grad(bool set_to_none = true) { optim::zero_grad(params_, set_to_none); }
  const TensorList& parameters() const { return params_; }

 protected:
  TensorList params_;
};

class NORCH_API SGD final : public Optimizer {
 public:
  explicit SGD(TensorList params, SgdOptions options = {});
  void step() override;
  /// May be changed between steps (learning rate schedules).
  SgdOptions& options() { return options_; }

 private:
  SgdOptions options_;
  TensorList momentum_buffers_;
};

class NORCH_API Adam : public Optimizer {
 public:
  explicit Adam(TensorList params, AdamOptions options = {});
  void step() override;
  AdamOptions& options() { return options_; }

 private:
  AdamOptions options_;
  std::vector<int64_t> steps_;
  TensorList step_counts_;  // instead, if capturable
  TensorList exp_avgs_, exp_avg_sqs_, max_exp_avg_sqs_;
};

/// Adam with decoupled weight decay, 0.01 unless the options say otherwise.
class NORCH_API AdamW final : public Adam {
 public:
  explicit AdamW(TensorList params, AdamOptions options = AdamOptions().weight_decay(0.01))
      : Adam(std::move(params), options.decoupled(true)) {}
};

class NORCH_API RMSprop final : public Optimizer {
 public:
  explicit RMSprop(TensorList params, RmspropOptions options = {});
  void step() override;
  RmspropOptions& options() { return options_; }

 private:
  RmspropOptions options_;
  TensorList square_avgs_, grad_avgs_, momentum_buffers_;
};

/// Any of the other rules: `Adagrad optimizer(params, AdagradOptions().lr(0.1))`.
template <class Options>
class RuleOptimizer final : public Optimizer {
 public:
  explicit RuleOptimizer(TensorList params, Options options = {}) : Optimizer(std::move(params)), options_(options) {}
  void step() override { rule_step(params_, std::nullopt, state_, options_); }
  Options& options() { return options_; }
  const RuleState& state() const { return state_; }

 private:
  Options options_;
  RuleState state_;
};
using Adamax = RuleOptimizer<AdamaxOptions>;
using NAdam = RuleOptimizer<NadamOptions>;
using RAdam = RuleOptimizer<RadamOptions>;
using Adagrad = RuleOptimizer<AdagradOptions>;
using Adadelta = RuleOptimizer<AdadeltaOptions>;
using Rprop = RuleOptimizer<RpropOptions>;
using ASGD = RuleOptimizer<AsgdOptions>;

}  // namespace norch::optim
