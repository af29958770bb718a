// norch._C._optim: the fused steps behind norch.optim.
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "norch/optim.h"

namespace norch::python {

namespace {

/// A list of state tensors. What a step makes for entries that are None goes back into the caller's list.
class State {
 public:
  explicit State(nb::handle source) : source_(source) {
    NORCH_CHECK_TYPE(nb::try_cast<TensorList>(source, list), "expected a list of state tensors (or None), got ",
                     Py_TYPE(source.ptr())->tp_name);
    given_ = list;
  }
  void give_back() const {
    if (!PyList_Check(source_.ptr())) return;
    for (size_t i = 0; i < given_.size() && i < static_cast<size_t>(PyList_GET_SIZE(source_.ptr())); ++i)
      if (!given_[i].defined() && list[i].defined())
        PyList_SetItem(source_.ptr(), static_cast<Py_ssize_t>(i), nb::cast(list[i]).release().ptr());
  }
  TensorList list;

 private:
  nb::handle source_;
  TensorList given_;
};

/// (the parameters that have a gradient, their gradients, whether any of those is sparse)
nb::tuple with_grads(nb::handle params) {
  nb::list chosen, grads;
  bool sparse = false;
  for (nb::handle p : params) {
    nb::object g = is_tensor(p.ptr()) ? nb::steal(wrap(unwrap(p.ptr()).grad())) : nb::borrow(p.attr("grad"));
    if (!g.is_valid()) throw nb::python_error();
    if (g.is_none()) continue;
    sparse = sparse || !is_tensor(g.ptr());
    chosen.append(p);
    grads.append(g);
  }
  return nb::make_tuple(chosen, grads, sparse);
}

void sgd(const TensorList& params, const std::optional<TensorList>& grads, nb::handle momentum_buffers, double lr,
         double momentum, double dampening, double weight_decay, bool nesterov, bool maximize, bool first_step,
         const std::optional<Tensor>& found_inf) {
  State buffers(momentum_buffers);
  optim::sgd_step(params, grads, buffers.list,
                  optim::SgdOptions()
                      .lr(lr)
                      .momentum(momentum)
                      .dampening(dampening)
                      .weight_decay(weight_decay)
                      .nesterov(nesterov)
                      .maximize(maximize),
                  first_step, found_inf.value_or(Tensor()));
  buffers.give_back();
}

void adam(const TensorList& params, const std::optional<TensorList>& grads, nb::handle exp_avgs,
          nb::handle exp_avg_sqs, nb::handle max_exp_avg_sqs, TensorList steps, double lr, double beta1, double beta2,
          double eps, double weight_decay, bool amsgrad, bool maximize, bool decoupled, const std::optional<Tensor>& found_inf) {
  State m(exp_avgs), v(exp_avg_sqs), greatest(max_exp_avg_sqs);
  const auto options = optim::AdamOptions()
                           .lr(lr)
                           .beta1(beta1)
                           .beta2(beta2)
                           .eps(eps)
                           .weight_decay(weight_decay)
                           .amsgrad(amsgrad)
                           .maximize(maximize)
                           .decoupled(decoupled);
  optim::adam_step(params, grads, m.list, v.list, greatest.list, steps, options, found_inf.value_or(Tensor()));
  for (const State* s : {&m, &v, &greatest}) s->give_back();
}

void rmsprop(const TensorList& params, const std::optional<TensorList>& grads, nb::handle square_avgs,
             nb::handle grad_avgs, nb::handle momentum_buffers, double lr, double alpha, double eps,
             double weight_decay, double momentum, bool centered, bool maximize) {
  State square(square_avgs), mean(grad_avgs), buffers(momentum_buffers);
  optim::rmsprop_step(params, grads, square.list, mean.list, buffers.list,
                      optim::RmspropOptions()
                          .lr(lr)
                          .alpha(alpha)
                          .eps(eps)
                          .weight_decay(weight_decay)
                          .momentum(momentum)
                          .centered(centered)
                          .maximize(maximize));
  for (const State* s : {&square, &mean, &buffers}) s->give_back();
}

using Lists = std::vector<TensorList>;

void rule(const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
          const optim::Rule& options) {
  optim::RuleState state{arrays, numbers};
  optim::rule_step(params, grads, state, options);
}

void bind_rules(Binder& b, nb::module_& m) {
  b.in(
      m, "adamax_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double lr, double beta1, double beta2, double eps, double weight_decay, bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::AdamaxOptions().lr(lr).beta1(beta1).beta2(beta2).eps(eps).weight_decay(weight_decay).maximize(
                 maximize));
      },
      "One step of Adamax.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "lr"_a, "beta1"_a,
      "beta2"_a, "eps"_a, "weight_decay"_a, "maximize"_a);
  b.in(
      m, "nadam_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double lr, double beta1, double beta2, double eps, double weight_decay, double momentum_decay, bool decoupled,
         bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::NadamOptions()
                 .lr(lr)
                 .beta1(beta1)
                 .beta2(beta2)
                 .eps(eps)
                 .weight_decay(weight_decay)
                 .momentum_decay(momentum_decay)
                 .decoupled(decoupled)
                 .maximize(maximize));
      },
      "One step of NAdam.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "lr"_a, "beta1"_a,
      "beta2"_a, "eps"_a, "weight_decay"_a, "momentum_decay"_a, "decoupled"_a, "maximize"_a);
  b.in(
      m, "radam_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled, bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::RadamOptions()
                 .lr(lr)
                 .beta1(beta1)
                 .beta2(beta2)
                 .eps(eps)
                 .weight_decay(weight_decay)
                 .decoupled(decoupled)
                 .maximize(maximize));
      },
      "One step of RAdam.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "lr"_a, "beta1"_a,
      "beta2"_a, "eps"_a, "weight_decay"_a, "decoupled"_a, "maximize"_a);
  b.in(
      m, "adagrad_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double lr, double lr_decay, double eps, double weight_decay, bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::AdagradOptions().lr(lr).lr_decay(lr_decay).eps(eps).weight_decay(weight_decay).maximize(maximize));
      },
      "One step of Adagrad.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "lr"_a,
      "lr_decay"_a, "eps"_a, "weight_decay"_a, "maximize"_a);
  b.in(
      m, "adadelta_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double lr, double rho, double eps, double weight_decay, bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::AdadeltaOptions().lr(lr).rho(rho).eps(eps).weight_decay(weight_decay).maximize(maximize));
      },
      "One step of Adadelta.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "lr"_a, "rho"_a,
      "eps"_a, "weight_decay"_a, "maximize"_a);
  b.in(
      m, "rprop_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double eta_minus, double eta_plus, double min_step, double max_step, bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::RpropOptions().eta_minus(eta_minus).eta_plus(eta_plus).min_step(min_step).max_step(max_step).maximize(
                 maximize));
      },
      "One step of Rprop.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "eta_minus"_a,
      "eta_plus"_a, "min_step"_a, "max_step"_a, "maximize"_a);
  b.in(
      m, "asgd_step",
      [](const TensorList& params, const std::optional<TensorList>& grads, const Lists& arrays, const Lists& numbers,
         double lr, double lambd, double alpha, double t0, double weight_decay, bool maximize) {
        rule(params, grads, arrays, numbers,
             optim::AsgdOptions().lr(lr).lambd(lambd).alpha(alpha).t0(t0).weight_decay(weight_decay).maximize(maximize));
      },
      "One step of ASGD.", "params"_a, "grads"_a.none(), "arrays"_a, "numbers"_a, nb::kw_only(), "lr"_a, "lambd"_a,
      "alpha"_a, "t0"_a, "weight_decay"_a, "maximize"_a);
}

}  // namespace

void bind_optim(Binder& b) {
  nb::module_ m = b.root.def_submodule(
      "_optim",
      "Fused optimizer steps. `grads` None means each parameter's own `.grad`; parameters without one are skipped. State "
      "entries that are None are made, and put into the list.");
  b.in(m, "sgd_step", &sgd, "One step of SGD for all parameters; `first_step` starts the momentum buffers anew.",
       "params"_a, "grads"_a.none(), "momentum_buffers"_a, nb::kw_only(), "lr"_a, "momentum"_a = 0.0,
       "dampening"_a = 0.0, "weight_decay"_a = 0.0, "nesterov"_a = false, "maximize"_a = false,
       "first_step"_a = false, "found_inf"_a = nb::none());
  b.in(m, "adam_step", &adam,
       "One step of Adam, or with `decoupled` weight decay of AdamW. `steps` hold the steps before and are advanced.",
       "params"_a, "grads"_a.none(), "exp_avgs"_a, "exp_avg_sqs"_a, "max_exp_avg_sqs"_a, nb::kw_only(), "steps"_a,
       "lr"_a, "beta1"_a = 0.9, "beta2"_a = 0.999, "eps"_a = 1e-8, "weight_decay"_a = 0.0, "amsgrad"_a = false,
       "maximize"_a = false, "decoupled"_a = false, "found_inf"_a = nb::none());
  b.in(m, "rmsprop_step", &rmsprop, "One step of RMSprop.", "params"_a, "grads"_a.none(), "square_avgs"_a,
       "grad_avgs"_a, "momentum_buffers"_a, nb::kw_only(), "lr"_a, "alpha"_a = 0.99, "eps"_a = 1e-8,
       "weight_decay"_a = 0.0, "momentum"_a = 0.0, "centered"_a = false, "maximize"_a = false);
  bind_rules(b, m);
  b.in(
      m, "unscale_",
      [](const TensorList& grads, const Tensor& inverse_scale, const Tensor& found_inf) {
        optim::unscale_(grads, inverse_scale, found_inf);
      },
      "Multiplies the gradients by `inverse_scale`; sets `found_inf` to 1 if any element is inf or NaN.", "grads"_a,
      "inverse_scale"_a, "found_inf"_a);
  b.in(
      m, "update_scale_",
      [](const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf, double growth, double backoff,
         int64_t interval) { optim::update_scale_(scale, growth_tracker, found_inf, growth, backoff, interval); },
      "The loss scale of the next step, after a step that found inf or NaN or not.", "scale"_a, "growth_tracker"_a,
      "found_inf"_a, "growth"_a, "backoff"_a, "interval"_a);
  b.in(
      m, "count_step", [](const TensorList& steps) { optim::count_step(steps); },
      "Adds 1 to each step count, a tensor without dims.", "steps"_a);
  b.in(
      m, "clip_grad_norm_",
      [](const TensorList& grads, double max_norm, double norm_type, bool error_if_nonfinite) {
        return optim::clip_grad_norm_(grads, max_norm, norm_type, error_if_nonfinite);
      },
      "Scales the gradients in place so that their joint norm is at most `max_norm`; returns the norm before.",
      "grads"_a, "max_norm"_a, "norm_type"_a = 2.0, "error_if_nonfinite"_a = false);
  b.in(m, "with_grads", &with_grads, "(the tensors that have a gradient, the gradients, whether any is sparse)",
       "params"_a);
  b.in(
      m, "zero_grad", [](const TensorList& params, bool set_to_none) { optim::zero_grad(params, set_to_none); },
      "Drops all gradients, or fills them with zeros.", "params"_a, "set_to_none"_a = true);
}

}  // namespace norch::python
