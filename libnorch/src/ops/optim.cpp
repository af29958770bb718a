#include "norch/optim.h"

#include <cmath>
#include <utility>

#include "core/factory.h"
#include "kernels/copy.h"
#include "kernels/optim.h"
#include "norch/cuda.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"

namespace norch::optim {

using kernels::OptimTensor;
using kernels::OptimTensors;

namespace {

/// The work of one step, cut into lists of one dtype and device, with every check done before anything is written.
class StepPlan {
 public:
  StepPlan(const char* op, const TensorList& params, const std::optional<TensorList>& grads)
      : op_(op), params_(params), grads_(grads) {
    NORCH_CHECK(!grads || grads->size() == params.size(), op, ": got ", params.size(), " parameters but ",
                grads ? grads->size() : 0, " gradients; pass one per parameter (undefined where there is none)");
  }

  /// Declares a list of state; undefined entries of parameters that have a gradient will be made, zero-filled or not.
  void state(const char* name, TensorList& list, bool zero) {
    NORCH_CHECK(list.size() <= params_.size(), op_, ": got ", params_.size(), " parameters but ", list.size(), " ",
                name, "; pass one per parameter");
    list.resize(params_.size());
    states_[count_++] = {name, &list, zero};
  }

  /// Checks everything, then calls f(i, entry) to complete the entry of parameter i, for each that has a gradient.
  template <class F>
  void collect(const F& f) {
    // Written values are only touched after all checks, so that a refused step changes nothing.
    for (size_t i = 0; i < params_.size(); ++i) check(i);
    for (size_t i = 0; i < params_.size(); ++i) {
      const Tensor grad = gradient(i);
      if (!grad.defined()) continue;
      const Tensor& p = params_[i];
      OptimTensor entry{};
      entry.n = p.numel();
      Tensor state[3];
      for (int k = 0; k < count_; ++k) {
        state[k] = (*states_[k].list)[i];
        if (state[k].defined()) continue;
        NORCH_CHECK(!p.is_cuda() || !cuda::is_current_stream_capturing(), op_, ": ", states_[k].name,
                    " would be made in the capture of a CUDA graph, and made anew by each replay; take a step before the "
                    "capture");
        entry.first = true;
        state[k] = new_tensor(p.sizes(), p.dtype(), p.device());
        if (states_[k].zero) kernels::fill(p.device(), make_plan({state[k]}, {}), 0);
        made_.push_back({k, i, state[k]});
      }
      bool flat = p.is_contiguous() && grad.is_contiguous();
      for (int k = 0; k < count_; ++k) flat &= state[k].is_contiguous();
      entry.data[0] = writable(p, flat).data_ptr();
      const Tensor g = flat ? grad : grad.detach().contiguous();
      if (!flat) kept_.push_back(g);
      if (!grads_) kept_.push_back(grad);
      entry.data[1] = g.data_ptr();
      for (int k = 0; k < count_; ++k) entry.data[2 + k] = writable(state[k], flat).data_ptr();
      f(i, entry);
      group(p).list.push_back(entry);
    }
  }

  /// Calls kernel(device, dtype, list) for each group and finishes the writes.
  template <class Kernel>
  void run(const Kernel& kernel) {
    for (const Group& g : groups_) kernel(g.device, g.dtype, g.list);
    for (const auto& [target, copy] : copies_) copy_into(target, copy);
    for (const Tensor& t : written_) t.storage()->bump_version();
    for (const Made& m : made_) (*states_[m.state].list)[m.param] = m.tensor;
  }

 private:
  struct State {
    const char* name;
    TensorList* list;
    bool zero;
  };
  /// State made for this step; the caller's lists get it when the step has been taken.
  struct Made {
    int state;
    size_t param;
    Tensor tensor;
  };
  struct Group {
    Device device;
    DType dtype;
    OptimTensors list;
  };

  Tensor gradient(size_t i) const { return grads_ ? (*grads_)[i] : params_[i].grad(); }

  void check_like(const Tensor& p, const Tensor& t, const char* what, size_t i) const {
    NORCH_CHECK(t.sizes() == p.sizes() && t.dtype() == p.dtype() && t.device() == p.device(), op_, ": ", what, "[", i,
                "] is ", t, " but its parameter is ", p, "; shape, dtype and device must match");
  }

  void check(size_t i) const {
    const Tensor& p = params_[i];
    NORCH_CHECK_TYPE(p.defined(), op_, ": params[", i, "] is None");
    const Tensor grad = gradient(i);
    if (!grad.defined()) return;
    NORCH_CHECK(p.is_floating_point(), op_, ": params[", i, "] has dtype ", p.dtype(),
                "; only floating-point parameters can be optimized");
    check_like(p, grad, "grads", i);
    for (int k = 0; k < count_; ++k) {
      const Tensor& s = (*states_[k].list)[i];
      if (s.defined()) check_like(p, s, states_[k].name, i);
    }
  }

  /// Memory to write for `t`: its own, or of a copy that run() copies back.
  Tensor writable(const Tensor& t, bool flat) {
    written_.push_back(t);
    if (flat || t.is_contiguous()) return t;
    Tensor copy = new_tensor(t.sizes(), t.dtype(), t.device());
    copy_into(copy, t);
    const TensorImpl& impl = *t.impl();
    copies_.emplace_back(
        Tensor(Ref<TensorImpl>(new TensorImpl(impl.storage, impl.sizes, impl.strides, impl.offset, impl.dtype))), copy);
    return copy;
  }

  Group& group(const Tensor& p) {
    for (Group& g : groups_)
      if (g.device == p.device() && g.dtype == p.dtype()) return g;
    groups_.push_back({p.device(), p.dtype(), {}});
    groups_.back().list.reserve(params_.size());
    return groups_.back();
  }

  const char* op_;
  const TensorList& params_;
  const std::optional<TensorList>& grads_;
  State states_[3] = {};
  int count_ = 0;
  std::vector<Group> groups_;
  std::vector<std::pair<Tensor, Tensor>> copies_;
  std::vector<Made> made_;
  TensorList written_, kept_;
};

void check_not_negative(const char* what, double v) {
  NORCH_CHECK_VALUE(v >= 0, "Invalid ", what, ": ", v);
}

void check(const SgdOptions& o) {
  check_not_negative("learning rate", o.lr());
  check_not_negative("momentum value", o.momentum());
  check_not_negative("weight_decay value", o.weight_decay());
  NORCH_CHECK_VALUE(!o.nesterov() || (o.momentum() > 0 && o.dampening() == 0),
                    "Nesterov momentum requires a momentum and zero dampening");
}

void check(const AdamOptions& o) {
  check_not_negative("learning rate", o.lr());
  check_not_negative("epsilon value", o.eps());
  NORCH_CHECK_VALUE(o.beta1() >= 0 && o.beta1() < 1, "Invalid beta parameter at index 0: ", o.beta1());
  NORCH_CHECK_VALUE(o.beta2() >= 0 && o.beta2() < 1, "Invalid beta parameter at index 1: ", o.beta2());
  check_not_negative("weight_decay value", o.weight_decay());
}

void check(const RmspropOptions& o) {
  check_not_negative("learning rate", o.lr());
  check_not_negative("epsilon value", o.eps());
  check_not_negative("momentum value", o.momentum());
  check_not_negative("weight_decay value", o.weight_decay());
  check_not_negative("alpha value", o.alpha());
}

}  // namespace

void sgd_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& momentum_buffers,
              const SgdOptions& options, bool first_step) {
  check(options);
  StepPlan plan("sgd_step", params, grads);
  if (options.momentum() != 0) plan.state("momentum_buffers", momentum_buffers, false);
  plan.collect([&](size_t, OptimTensor& t) { t.first |= first_step; });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::sgd_step(device, dtype, list, options);
  });
}

void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
               TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, Ints steps, const AdamOptions& options) {
  check(options);
  NORCH_CHECK(steps.size() == 1 || steps.size() == params.size(), "adam_step: got ", params.size(),
              " parameters but ", steps.size(), " step counts; pass one, or one per parameter");
  for (int64_t s : steps) NORCH_CHECK_VALUE(s >= 1, "adam_step: step counts start at 1, got ", s);
  NORCH_CHECK(params.empty() || !params[0].defined() || !params[0].is_cuda() || !cuda::is_current_stream_capturing(),
              "Attempting CUDA graph capture of step() for an instance of Adam but its capturable is False: each replay "
              "would take the same step number; make the optimizer with capturable=True");
  StepPlan plan("adam_step", params, grads);
  plan.state("exp_avgs", exp_avgs, true);
  plan.state("exp_avg_sqs", exp_avg_sqs, true);
  if (options.amsgrad()) plan.state("max_exp_avg_sqs", max_exp_avg_sqs, true);
  plan.collect([&](size_t i, OptimTensor& t) {
    const int64_t step = steps[steps.size() == 1 ? 0 : i];
    kernels::adam_bias(options.lr(), options.beta1(), options.beta2(), step, t.step_size, t.bias2_sqrt);
  });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::adam_step(device, dtype, list, options);
  });
}

void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
               TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, TensorList& steps, const AdamOptions& options) {
  check(options);
  NORCH_CHECK(steps.size() <= params.size(), "adam_step: got ", params.size(), " parameters but ", steps.size(),
              " step counts; pass one per parameter");
  TensorList counts = steps;
  counts.resize(params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    NORCH_CHECK_TYPE(params[i].defined(), "adam_step: params[", i, "] is None");
    if (!(grads ? (*grads)[i] : params[i].grad()).defined()) continue;
    NORCH_CHECK(counts[i].defined() || !params[i].is_cuda() || !cuda::is_current_stream_capturing(),
                "adam_step: a step count would be made in the capture of a CUDA graph; take a step before the capture");
    if (!counts[i].defined()) counts[i] = zeros({}, TensorOptions(kFloat32).device(params[i].device()));
    NORCH_CHECK(counts[i].dim() == 0 && counts[i].dtype() == kFloat32 && counts[i].device() == params[i].device(),
                "adam_step: steps[", i, "] is ", counts[i], "; expected a float32 tensor without dims on ",
                params[i].device());
  }
  StepPlan plan("adam_step", params, grads);
  plan.state("exp_avgs", exp_avgs, true);
  plan.state("exp_avg_sqs", exp_avg_sqs, true);
  if (options.amsgrad()) plan.state("max_exp_avg_sqs", max_exp_avg_sqs, true);
  plan.collect([&](size_t i, OptimTensor& t) {
    float* count = counts[i].data<float>();
    if (counts[i].is_cuda()) {
      t.step = count;
    } else {
      const int64_t step = static_cast<int64_t>(*count) + 1;
      *count = static_cast<float>(step);
      kernels::adam_bias(options.lr(), options.beta1(), options.beta2(), step, t.step_size, t.bias2_sqrt);
    }
    counts[i].storage()->bump_version();
  });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::adam_step(device, dtype, list, options);
  });
  steps = std::move(counts);
}

void rmsprop_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& square_avgs,
                  TensorList& grad_avgs, TensorList& momentum_buffers, const RmspropOptions& options) {
  check(options);
  StepPlan plan("rmsprop_step", params, grads);
  plan.state("square_avgs", square_avgs, true);
  if (options.centered()) plan.state("grad_avgs", grad_avgs, true);
  if (options.momentum() != 0) plan.state("momentum_buffers", momentum_buffers, true);
  plan.collect([](size_t, OptimTensor&) {});
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::rmsprop_step(device, dtype, list, options);
  });
}

void zero_grad(const TensorList& params, bool set_to_none) {
  for (const Tensor& p : params) {
    NORCH_CHECK_TYPE(p.defined(), "zero_grad: a parameter is None");
    const Tensor g = p.grad();
    if (!g.defined()) continue;
    if (set_to_none) {
      p.set_grad({});
      continue;
    }
    // A gradient with a history is replaced: writing zeros into it would count as an op of that history.
    if (g.requires_grad()) {
      p.set_grad(zeros_like(g));
    } else {
      kernels::fill(g.device(), make_plan({g}, {}), 0);
      g.storage()->bump_version();
    }
  }
}

Tensor clip_grad_norm_(const TensorList& grads, double max_norm, double norm_type, bool error_if_nonfinite) {
  constexpr const char* op = "clip_grad_norm_";
  NORCH_CHECK_VALUE(norm_type >= 0, op, ": norm_type must not be negative, got ", norm_type);
  struct Group {
    Device device;
    DType dtype;
    OptimTensors list;
    int64_t chunks = 0;
  };
  std::vector<Group> groups;
  TensorList kept, written;
  std::vector<std::pair<Tensor, Tensor>> copies;
  std::optional<DType> result_type;
  for (const Tensor& g : grads) {
    if (!g.defined()) continue;
    NORCH_CHECK(g.is_floating_point(), op, ": a gradient has dtype ", g.dtype(), "; expected a floating-point dtype");
    NORCH_CHECK(written.empty() || g.device() == written[0].device(), op, ": gradients lie on ", written[0].device(),
                " and ", g.device(), "; call it once per device");
    result_type = result_type ? promote_types(*result_type, g.dtype()) : g.dtype();
    written.push_back(g);
  }
  if (written.empty()) return zeros({}, kFloat32);
  const Device device = written[0].device();
  int64_t chunks = 0;
  for (const Tensor& g : written) {
    Group* group = nullptr;
    for (Group& each : groups)
      if (each.dtype == g.dtype()) group = &each;
    if (!group) group = &groups.emplace_back(Group{device, g.dtype(), {}, 0});
    Tensor flat = g;
    if (!g.is_contiguous()) {
      flat = new_tensor(g.sizes(), g.dtype(), device);
      copy_into(flat, g);
      copies.emplace_back(g, flat);
    }
    OptimTensor entry{};
    entry.n = g.numel();
    entry.data[0] = flat.data_ptr();
    group->list.push_back(entry);
    const int64_t own = (g.numel() + kernels::kNormChunk - 1) / kernels::kNormChunk;
    group->chunks += own;
    chunks += own;
  }
  Tensor partial = new_tensor({chunks}, kFloat64, device);
  Tensor result = new_tensor({2}, kFloat64, device);
  int64_t at = 0;
  for (const Group& g : groups) {
    const Tensor part(Ref<TensorImpl>(new TensorImpl(partial.storage(), Ints({g.chunks}), Ints({1}), at, kFloat64)));
    kernels::norm_chunks(device, g.dtype, g.list, norm_type, part);
    at += g.chunks;
  }
  kernels::norm_finish(device, partial, norm_type, max_norm, result);
  const Tensor norm(Ref<TensorImpl>(new TensorImpl(result.storage(), Ints(), Ints(), 0, kFloat64)));
  if (error_if_nonfinite) {
    const double value = norm.item<double>();
    NORCH_CHECK(std::isfinite(value), "The total norm of order ", norm_type,
                " for gradients from `parameters` is non-finite, so it cannot be clipped. To disable this error and "
                "scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`");
  }
  for (const Group& g : groups) kernels::scale_list(device, g.dtype, g.list, result);
  for (const auto& [target, copy] : copies) copy_into(target, copy);
  for (const Tensor& g : written) g.storage()->bump_version();
  return norm.to(*result_type);
}

// ---- classes

Optimizer::Optimizer(TensorList params) : params_(std::move(params)) {
  NORCH_CHECK_VALUE(!params_.empty(), "optimizer got an empty parameter list");
  for (const Tensor& p : params_) {
    NORCH_CHECK_TYPE(p.defined(), "optimizer: a parameter is undefined");
    NORCH_CHECK_VALUE(p.is_leaf(), "can't optimize a non-leaf Tensor");
  }
}

SGD::SGD(TensorList params, SgdOptions options) : Optimizer(std::move(params)), options_(options) { check(options); }

void SGD::step() { sgd_step(params_, std::nullopt, momentum_buffers_, options_); }

Adam::Adam(TensorList params, AdamOptions options)
    : Optimizer(std::move(params)), options_(options), steps_(params_.size(), 0) {
  check(options);
}

void Adam::step() {
  if (options_.capturable())
    return adam_step(params_, std::nullopt, exp_avgs_, exp_avg_sqs_, max_exp_avg_sqs_, step_counts_, options_);
  std::vector<int64_t> steps(steps_);
  for (size_t i = 0; i < params_.size(); ++i) {
    ++steps[i];
    if (params_[i].grad().defined()) steps_[i] = steps[i];
  }
  adam_step(params_, std::nullopt, exp_avgs_, exp_avg_sqs_, max_exp_avg_sqs_, steps, options_);
}

RMSprop::RMSprop(TensorList params, RmspropOptions options) : Optimizer(std::move(params)), options_(options) {
  check(options);
}

void RMSprop::step() {
  rmsprop_step(params_, std::nullopt, square_avgs_, grad_avgs_, momentum_buffers_, options_);
}

}  // namespace norch::optim
