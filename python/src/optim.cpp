// norch._C._optim: the fused steps behind norch.optim.
#include <nanobind/stl/variant.h>

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

void sgd(const TensorList& params, const std::optional<TensorList>& grads, nb::handle momentum_buffers, double lr,
         double momentum, double dampening, double weight_decay, bool nesterov, bool maximize, bool first_step) {
  State buffers(momentum_buffers);
  optim::sgd_step(params, grads, buffers.list,
                  optim::SgdOptions()
                      .lr(lr)
                      .momentum(momentum)
                      .dampening(dampening)
                      .weight_decay(weight_decay)
                      .nesterov(nesterov)
                      .maximize(maximize),
                  first_step);
  buffers.give_back();
}

void adam(const TensorList& params, const std::optional<TensorList>& grads, nb::handle exp_avgs,
          nb::handle exp_avg_sqs, nb::handle max_exp_avg_sqs, std::variant<int64_t, TensorList> step, double lr, double beta1, double beta2,
          double eps, double weight_decay, bool amsgrad, bool maximize, bool decoupled) {
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
  if (const int64_t* number = std::get_if<int64_t>(&step))
    optim::adam_step(params, grads, m.list, v.list, greatest.list, {*number}, options);
  else
    optim::adam_step(params, grads, m.list, v.list, greatest.list, std::get<TensorList>(step), options);
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

}  // namespace

void bind_optim(Binder& b) {
  nb::module_ m = b.root.def_submodule(
      "_optim",
      "Fused optimizer steps. `grads` None means each parameter's own `.grad`; parameters without one are skipped. State "
      "entries that are None are made, and put into the list.");
  b.in(m, "sgd_step", &sgd, "One step of SGD for all parameters; `first_step` starts the momentum buffers anew.",
       "params"_a, "grads"_a.none(), "momentum_buffers"_a, nb::kw_only(), "lr"_a, "momentum"_a = 0.0,
       "dampening"_a = 0.0, "weight_decay"_a = 0.0, "nesterov"_a = false, "maximize"_a = false,
       "first_step"_a = false);
  b.in(m, "adam_step", &adam, "One step of Adam, or with `decoupled` weight decay of AdamW. `step` counts from 1; as a list of tensors, one per "
       "parameter, it holds the steps before and is advanced.",
       "params"_a, "grads"_a.none(), "exp_avgs"_a, "exp_avg_sqs"_a, "max_exp_avg_sqs"_a, nb::kw_only(), "step"_a,
       "lr"_a, "beta1"_a = 0.9, "beta2"_a = 0.999, "eps"_a = 1e-8, "weight_decay"_a = 0.0, "amsgrad"_a = false,
       "maximize"_a = false, "decoupled"_a = false);
  b.in(m, "rmsprop_step", &rmsprop, "One step of RMSprop.", "params"_a, "grads"_a.none(), "square_avgs"_a,
       "grad_avgs"_a, "momentum_buffers"_a, nb::kw_only(), "lr"_a, "alpha"_a = 0.99, "eps"_a = 1e-8,
       "weight_decay"_a = 0.0, "momentum"_a = 0.0, "centered"_a = false, "maximize"_a = false);
  b.in(
      m, "clip_grad_norm_",
      [](const TensorList& grads, double max_norm, double norm_type, bool error_if_nonfinite) {
        return optim::clip_grad_norm_(grads, max_norm, norm_type, error_if_nonfinite);
      },
      "Scales the gradients in place so that their joint norm is at most `max_norm`; returns the norm before.",
      "grads"_a, "max_norm"_a, "norm_type"_a = 2.0, "error_if_nonfinite"_a = false);
  b.in(
      m, "zero_grad", [](const TensorList& params, bool set_to_none) { optim::zero_grad(params, set_to_none); },
      "Drops all gradients, or fills them with zeros.", "params"_a, "set_to_none"_a = true);
}

}  // namespace norch::python
