#include "norch/optim.h"

#include <cmath>

#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/slice.h"
#include "ops/optim_plan.h"

namespace norch::optim {

namespace {

// The learning rate is checked where an optimizer is made: a schedule may take it anywhere.
void check(const SgdOptions& o) {
  check_not_negative("momentum value", o.momentum());
  check_not_negative("weight_decay value", o.weight_decay());
  NORCH_CHECK_VALUE(!o.nesterov() || (o.momentum() > 0 && o.dampening() == 0),
                    "Nesterov momentum requires a momentum and zero dampening");
}

void check(const AdamOptions& o) {
  check_not_negative("epsilon value", o.eps());
  NORCH_CHECK_VALUE(o.beta1() >= 0 && o.beta1() < 1, "Invalid beta parameter at index 0: ", o.beta1());
  NORCH_CHECK_VALUE(o.beta2() >= 0 && o.beta2() < 1, "Invalid beta parameter at index 1: ", o.beta2());
  check_not_negative("weight_decay value", o.weight_decay());
}

void check(const RmspropOptions& o) {
  check_not_negative("epsilon value", o.eps());
  check_not_negative("momentum value", o.momentum());
  check_not_negative("weight_decay value", o.weight_decay());
  check_not_negative("alpha value", o.alpha());
}

/// p -= lr * gradient for the sparse gradients; the others are returned, in place of sparse ones nothing.
TensorList step_sparse(const TensorList& params, const TensorList& grads, const SgdOptions& o) {
  TensorList dense = grads;
  for (size_t i = 0; i < params.size(); ++i) {
    if (!grads[i].defined() || !autograd::is_sparse(grads[i])) continue;
    NORCH_CHECK(o.weight_decay() == 0, "sgd_step: weight_decay option is not compatible with sparse gradients");
    NORCH_CHECK(o.momentum() == 0, "sgd_step: momentum is not implemented for sparse gradients");
    NORCH_CHECK(grads[i].sizes() == params[i].sizes() && grads[i].dtype() == params[i].dtype() &&
                    grads[i].device() == params[i].device(),
                "sgd_step: grads[", i, "] is ", grads[i], " but its parameter is ", params[i],
                "; shape, dtype and device must match");
    autograd::NoGrad off;
    autograd::add_sparse_(params[i], grads[i], o.maximize() ? o.lr() : -o.lr());
    dense[i] = Tensor();
  }
  return dense;
}

/// The gradients of a step if some are sparse.
std::optional<TensorList> with_sparse(const TensorList& params, const std::optional<TensorList>& grads) {
  bool any = false;
  for (size_t i = 0; i < params.size() && !any; ++i) {
    if (!params[i].defined()) continue;
    const Tensor g = grads ? (i < grads->size() ? (*grads)[i] : Tensor()) : params[i].grad();
    any = g.defined() && autograd::is_sparse(g);
  }
  if (!any || grads) return any ? grads : std::nullopt;
  TensorList out;
  for (const Tensor& p : params) out.push_back(p.defined() ? p.grad() : Tensor());
  return out;
}

}  // namespace

void sgd_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& momentum_buffers,
              const SgdOptions& options, bool first_step, const Tensor& found_inf) {
  check(options);
  const Skip skip("sgd_step", params, found_inf);
  if (skip.known()) return;
  if (const std::optional<TensorList> all = with_sparse(params, grads)) {
    NORCH_CHECK(all->size() == params.size(), "sgd_step: got ", params.size(), " parameters but ", all->size(), " gradients");
    return sgd_step(params, step_sparse(params, *all, options), momentum_buffers, options, first_step, found_inf);
  }
  StepPlan plan("sgd_step", params, grads);
  if (options.momentum() != 0) plan.state("momentum_buffers", momentum_buffers, std::nullopt);
  plan.collect([&](size_t, OptimTensor& t) { t.first |= first_step; });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::sgd_step(device, dtype, list, options, skip.data());
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
  plan.state("exp_avgs", exp_avgs, 0);
  plan.state("exp_avg_sqs", exp_avg_sqs, 0);
  if (options.amsgrad()) plan.state("max_exp_avg_sqs", max_exp_avg_sqs, 0);
  plan.collect([&](size_t i, OptimTensor& t) {
    const int64_t step = steps[steps.size() == 1 ? 0 : i];
    kernels::adam_bias(options.lr(), options.beta1(), options.beta2(), step, t.number);
  });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::adam_step(device, dtype, list, options, nullptr);
  });
}

void adam_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& exp_avgs,
               TensorList& exp_avg_sqs, TensorList& max_exp_avg_sqs, TensorList& steps, const AdamOptions& options,
               const Tensor& found_inf) {
  constexpr const char* op = "adam_step";
  check(options);
  const Skip skip(op, params, found_inf);
  if (skip.known()) return;
  NORCH_CHECK(steps.size() <= params.size(), op, ": got ", params.size(), " parameters but ", steps.size(),
              " step counts; pass one per parameter");
  TensorList counts = steps;
  counts.resize(params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    const Tensor& p = params[i];
    NORCH_CHECK_TYPE(p.defined(), op, ": params[", i, "] is None");
    if (!(grads ? (*grads)[i] : p.grad()).defined()) continue;
    const bool capturing = p.is_cuda() && cuda::is_current_stream_capturing();
    NORCH_CHECK(counts[i].defined() || !capturing, op,
                ": a step count would be made in the capture of a CUDA graph; take a step before the capture");
    if (!counts[i].defined()) counts[i] = zeros({}, TensorOptions(kFloat32).device(p.device()));
    if (counts[i].is_cpu()) {
      check_number(op, "steps", i, counts[i]);
      NORCH_CHECK(!capturing,
                  "Attempting CUDA graph capture of step() for an instance of Adam but its capturable is False: each "
                  "replay would take the same step number; make the optimizer with capturable=True");
      NORCH_CHECK(!skip.data() || p.is_cpu(), op, ": with found_inf, steps[", i, "] must be on ", p.device(),
                  " like its parameter; make the optimizer with fused=True or capturable=True");
    } else {
      NORCH_CHECK(counts[i].dim() == 0 && counts[i].dtype() == kFloat32 && counts[i].device() == p.device(), op,
                  ": steps[", i, "] is ", counts[i], "; expected a float32 tensor without dims on ", p.device(),
                  " or the CPU");
    }
  }
  StepPlan plan(op, params, grads);
  plan.state("exp_avgs", exp_avgs, 0);
  plan.state("exp_avg_sqs", exp_avg_sqs, 0);
  if (options.amsgrad()) plan.state("max_exp_avg_sqs", max_exp_avg_sqs, 0);
  plan.collect([&](size_t i, OptimTensor& t) {
    if (counts[i].is_cuda()) {
      t.step = counts[i].data<float>();
    } else {
      visit_number(counts[i], [&](auto* count) {
        const int64_t step = static_cast<int64_t>(*count += 1);
        kernels::adam_bias(options.lr(), options.beta1(), options.beta2(), step, t.number);
      });
    }
    counts[i].storage()->bump_version();
  });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::adam_step(device, dtype, list, options, skip.data());
  });
  steps = std::move(counts);
}

void rmsprop_step(const TensorList& params, const std::optional<TensorList>& grads, TensorList& square_avgs,
                  TensorList& grad_avgs, TensorList& momentum_buffers, const RmspropOptions& options) {
  check(options);
  StepPlan plan("rmsprop_step", params, grads);
  plan.state("square_avgs", square_avgs, 0);
  if (options.centered()) plan.state("grad_avgs", grad_avgs, 0);
  if (options.momentum() != 0) plan.state("momentum_buffers", momentum_buffers, 0);
  plan.collect([](size_t, OptimTensor&) {});
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::rmsprop_step(device, dtype, list, options);
  });
}

void count_step(const TensorList& steps) {
  for (size_t i = 0; i < steps.size(); ++i) {
    NORCH_CHECK_TYPE(steps[i].defined(), "count_step: steps[", i, "] is None");
    if (!steps[i].is_cpu()) {
      add_(steps[i], Tensor::wrap(1));
      continue;
    }
    check_number("count_step", "steps", i, steps[i]);
    visit_number(steps[i], [](auto* count) { *count += 1; });
    steps[i].storage()->bump_version();
  }
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
    if (const SparseParts* parts = sparse_parts(g)) {
      p.set_grad(make_sparse(narrow(parts->indices, 1, 0, 0), narrow(parts->values.detach(), 0, 0, 0), g.sizes(), true));
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
    NORCH_CHECK_IMPLEMENTED(!autograd::is_sparse(g), op, ": not implemented for sparse gradients; give dense ones");
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
    if (!g.is_contiguous() && !is_dense(g.sizes(), g.strides())) {
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

SGD::SGD(TensorList params, SgdOptions options) : Optimizer(std::move(params)), options_(options) {
  check_not_negative("learning rate", options.lr());
  check(options);
}

void SGD::step() { sgd_step(params_, std::nullopt, momentum_buffers_, options_); }

Adam::Adam(TensorList params, AdamOptions options)
    : Optimizer(std::move(params)), options_(options), steps_(params_.size(), 0) {
  check_not_negative("learning rate", options.lr());
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
  check_not_negative("learning rate", options.lr());
  check(options);
}

void RMSprop::step() {
  rmsprop_step(params_, std::nullopt, square_avgs_, grad_avgs_, momentum_buffers_, options_);
}

}  // namespace norch::optim
