// Optimizers: fused update steps for whole lists of parameters, and classes that keep their state.
//
// A step walks each parameter's memory once: it reads gradient and state and writes parameter and state, in one kernel
// per dtype and device on CUDA (a few for very long lists). Updates are not recorded by autograd; they count as in-place
// writes, so a graph that saved an old value notices. The 16-bit floats compute in float32 and round once on storing.
#pragma once

#include <optional>
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

#undef NORCH_OPTION

/// One step for all parameters. Entry i of every list belongs to params[i]; `grads` left out means each parameter's own
/// `.grad`. A parameter without gradient is skipped. Undefined state entries are made here (a list shorter than the
/// parameters, such as an empty one, is extended), so a caller starts with empty lists and keeps them.
/// \throws Error when a gradient or state tensor differs from its parameter in shape, dtype or device, and in the capture
/// of a CUDA graph where the step would have to make state or count on the CPU; ValueError for options out of range.
/// Nothing has been written then.
NORCH_API void sgd_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& momentum_buffers,
                        const SgdOptions& options, bool first_step = false);
/// `steps` counts from 1, this one included: one number for all, or one per parameter.
NORCH_API void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
                         TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, Ints steps, const AdamOptions& options);
/// The same with the step counts in tensors (float32, 0-d, of the parameters' devices), one per parameter; they hold the
/// steps before this one, which is added. Undefined ones start at 0. On a GPU nothing of the counts is known to the CPU,
/// so that the step can be part of a CUDA graph. The results are those of the overload above, bit for bit.
NORCH_API void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
                         TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, TensorList& steps,
                         const AdamOptions& options);
NORCH_API void rmsprop_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& square_avgs,
                            TensorList& grad_avgs, TensorList& momentum_buffers, const RmspropOptions& options);

/// Drops every parameter's gradient, or fills it with zeros.
NORCH_API void zero_grad(const TensorList& params, bool set_to_none = true);

/// Scales the gradients (undefined ones are skipped) in place so that their joint norm, sum(|g|^p)^(1/p), is at most
/// `max_norm`; returns the norm that they had. Does not wait for the device unless `error_if_nonfinite`.
/// \throws Error when the norm is not finite and `error_if_nonfinite`.
NORCH_API Tensor clip_grad_norm_(const TensorList& grads, double max_norm, double norm_type = 2,
                                 bool error_if_nonfinite = false);

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

}  // namespace norch::optim
