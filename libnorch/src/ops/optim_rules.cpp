// Steps of the rules beyond SGD, Adam and RMSprop: what each keeps, and what depends on the step count.
#include "kernels/optim_rules.h"

#include <cmath>

#include "norch/ops/factory.h"
#include "ops/optim_plan.h"

namespace norch::optim {

namespace {

struct Field {
  const char* name;
  double initial;
};
/// What a rule keeps for a parameter: tensors of its shape, and numbers, the step count first.
struct Fields {
  const char* op;
  std::vector<Field> arrays, numbers;
};

// For each rule its Fields, and `advance`: `s` points to the numbers, whose step count has been advanced to this step;
// it advances the others and gives the numbers that the kernel takes. S is the type that the numbers are kept in.

Fields fields(const AdamaxOptions&) { return {"adamax_step", {{"exp_avgs", 0}, {"exp_infs", 0}}, {{"steps", 0}}}; }
template <class S>
void advance(const AdamaxOptions& o, S* const* s, double* number) {
  number[0] = o.lr() / (1 - kernels::whole_power(o.beta1(), static_cast<int64_t>(*s[0])));
}

Fields fields(const NadamOptions&) {
  return {"nadam_step", {{"exp_avgs", 0}, {"exp_avg_sqs", 0}}, {{"steps", 0}, {"mu_products", 1}}};
}
template <class S>
void advance(const NadamOptions& o, S* const* s, double* number) {
  const double step = *s[0];
  const auto mu = [&](double t) { return o.beta1() * (1 - 0.5 * std::pow(0.96, t * o.momentum_decay())); };
  *s[1] *= static_cast<S>(mu(step));
  const double product = *s[1];
  number[0] = o.lr() * (1 - mu(step)) / (1 - product);
  number[1] = o.lr() * mu(step + 1) / (1 - product * mu(step + 1));
  number[2] = 1 - kernels::whole_power(o.beta2(), static_cast<int64_t>(step));
}

Fields fields(const RadamOptions&) { return {"radam_step", {{"exp_avgs", 0}, {"exp_avg_sqs", 0}}, {{"steps", 0}}}; }
template <class S>
void advance(const RadamOptions& o, S* const* s, double* number) {
  const double step = *s[0], power = kernels::whole_power(o.beta2(), static_cast<int64_t>(step));
  const double end = 2 / (1 - o.beta2()) - 1, rho = end - 2 * step * power / (1 - power);
  number[0] = 1 - kernels::whole_power(o.beta1(), static_cast<int64_t>(step));
  if (rho > 5)
    number[1] = std::sqrt((rho - 4) * (rho - 2) * end / ((end - 4) * (end - 2) * rho)) * std::sqrt(1 - power);
}

Fields fields(const AdagradOptions& o) {
  return {"adagrad_step", {{"sums", o.initial_accumulator_value()}}, {{"steps", 0}}};
}
template <class S>
void advance(const AdagradOptions& o, S* const* s, double* number) {
  number[0] = o.lr() / (1 + (*s[0] - 1) * o.lr_decay());
}

Fields fields(const AdadeltaOptions&) {
  return {"adadelta_step", {{"square_avgs", 0}, {"acc_deltas", 0}}, {{"steps", 0}}};
}
template <class S>
void advance(const AdadeltaOptions&, S* const*, double*) {}

Fields fields(const RpropOptions& o) { return {"rprop_step", {{"prevs", 0}, {"step_sizes", o.lr()}}, {{"steps", 0}}}; }
template <class S>
void advance(const RpropOptions&, S* const*, double*) {}

Fields fields(const AsgdOptions& o) {
  return {"asgd_step", {{"axs", 0}}, {{"steps", 0}, {"etas", o.lr()}, {"mus", 1}}};
}
template <class S>
void advance(const AsgdOptions& o, S* const* s, double* number) {
  const double step = *s[0], eta = *s[1], mu = *s[2];
  number[0] = 1 - o.lambd() * eta;
  number[1] = eta;
  number[2] = mu;
  *s[1] = static_cast<S>(o.lr() / std::pow(1 + o.lambd() * o.lr() * step, o.alpha()));
  *s[2] = static_cast<S>(1 / std::max(1.0, step - o.t0()));
}

template <class Options>
void check_betas(const Options& o) {
  check_not_negative("epsilon value", o.eps());
  NORCH_CHECK_VALUE(o.beta1() >= 0 && o.beta1() < 1, "Invalid beta parameter at index 0: ", o.beta1());
  NORCH_CHECK_VALUE(o.beta2() >= 0 && o.beta2() < 1, "Invalid beta parameter at index 1: ", o.beta2());
  check_not_negative("weight_decay value", o.weight_decay());
}
void check(const AdamaxOptions& o) { check_betas(o); }
void check(const NadamOptions& o) {
  check_betas(o);
  check_not_negative("momentum_decay value", o.momentum_decay());
}
void check(const RadamOptions& o) { check_betas(o); }
void check(const AdagradOptions& o) {
  check_not_negative("lr_decay value", o.lr_decay());
  check_not_negative("weight_decay value", o.weight_decay());
  check_not_negative("initial_accumulator_value value", o.initial_accumulator_value());
  check_not_negative("epsilon value", o.eps());
}
void check(const AdadeltaOptions& o) {
  NORCH_CHECK_VALUE(o.rho() >= 0 && o.rho() <= 1, "Invalid rho value: ", o.rho());
  check_not_negative("epsilon value", o.eps());
  check_not_negative("weight_decay value", o.weight_decay());
}
void check(const RpropOptions& o) {
  NORCH_CHECK_VALUE(0 < o.eta_minus() && o.eta_minus() < 1 && 1 < o.eta_plus(), "Invalid eta values: ", o.eta_minus(),
                    ", ", o.eta_plus());
}
void check(const AsgdOptions& o) {
  check_not_negative("weight_decay value", o.weight_decay());
}

}  // namespace

void rule_step(const TensorList& params, const std::optional<TensorList>& grads, RuleState& state, const Rule& rule) {
  std::visit([](const auto& options) { check(options); }, rule);
  const Fields f = std::visit([](const auto& options) { return fields(options); }, rule);
  NORCH_CHECK(state.arrays.size() <= f.arrays.size() && state.numbers.size() <= f.numbers.size(), f.op, ": got ",
              state.arrays.size(), " lists of state and ", state.numbers.size(), " of numbers; expected ",
              f.arrays.size(), " and ", f.numbers.size());
  state.arrays.resize(f.arrays.size());
  state.numbers.resize(f.numbers.size());
  StepPlan plan(f.op, params, grads);
  for (size_t k = 0; k < f.arrays.size(); ++k) plan.state(f.arrays[k].name, state.arrays[k], f.arrays[k].initial);
  for (size_t k = 0; k < f.numbers.size(); ++k) {
    TensorList& list = state.numbers[k];
    NORCH_CHECK(list.size() <= params.size(), f.op, ": got ", params.size(), " parameters but ", list.size(), " ",
                f.numbers[k].name, "; pass one per parameter");
    list.resize(params.size());
    for (size_t i = 0; i < params.size(); ++i) {
      if (!params[i].defined() || !(grads ? (*grads)[i] : params[i].grad()).defined()) continue;
      NORCH_CHECK(!params[i].is_cuda() || !cuda::is_current_stream_capturing(), "Attempting CUDA graph capture of ", f.op,
                  ", which counts its steps on the CPU: each replay would take the same step number");
      if (!list[i].defined()) list[i] = full({}, f.numbers[k].initial, kFloat32);
      check_number(f.op, f.numbers[k].name, i, list[i]);
      NORCH_CHECK(list[i].dtype() == state.numbers[0][i].dtype(), f.op, ": ", f.numbers[k].name, "[", i, "] is ",
                  list[i], " but steps[", i, "] is ", state.numbers[0][i], "; their dtypes must match");
    }
  }
  plan.collect([&](size_t i, OptimTensor& t) {
    visit_number(state.numbers[0][i], [&](auto* step) {
      using S = std::remove_reference_t<decltype(*step)>;
      S* s[3] = {step};
      for (size_t k = 1; k < f.numbers.size(); ++k) s[k] = state.numbers[k][i].data<S>();
      *step += 1;
      std::visit([&](const auto& options) { advance(options, s, t.number); }, rule);
    });
    for (const TensorList& list : state.numbers) list[i].storage()->bump_version();
  });
  plan.run([&](Device device, DType dtype, const OptimTensors& list) {
    kernels::rule_step(device, dtype, list, rule);
  });
}

}  // namespace norch::optim
