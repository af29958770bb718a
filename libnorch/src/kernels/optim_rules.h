// The arithmetic of the optimizers beyond SGD, Adam and RMSprop: one functor per rule, compiled for both devices.
//
// A new rule is an options class in norch/optim.h (and a place in optim::Rule), a functor here (and its overload of
// rule_of), and its state in ops/optim_rules.cpp.
#pragma once

#include "kernels/narrow_kernel.h"
#include "kernels/optim.h"

namespace norch::kernels {

/// OptimTensor::number holds what the rule's `advance` in ops/optim_rules.cpp computes for the step.
NORCH_NARROW_KERNEL(rule_step, void(DType dtype, const OptimTensors& list, const optim::Rule& rule))

inline namespace NORCH_ISA {

/// g, negated if `maximize`, with the coupled weight decay; p after the decoupled one.
template <class C>
struct Decay {
  C weight_decay, keep;  // the coupled decay (or 0), and what the decoupled one leaves (or 1)
  bool maximize;
  template <class Options>
  explicit Decay(const Options& o, double lr = 0, bool decoupled = false)
      : weight_decay(static_cast<C>(decoupled ? 0 : o.weight_decay())),
        keep(static_cast<C>(decoupled ? 1 - lr * o.weight_decay() : 1)),
        maximize(o.maximize()) {}
  NORCH_STEP C operator()(C& p, C g) const {
    g = maximize ? -g : g;
    p = p * keep;
    return weight_decay != C(0) ? multiply_add(weight_decay, p, g) : g;
  }
};

template <class C>
struct AdamaxRule {
  static constexpr int states = 2;
  Decay<C> decay;
  C one_minus_beta1, beta2, eps;
  explicit AdamaxRule(const optim::AdamaxOptions& o)
      : decay(o),
        one_minus_beta1(static_cast<C>(1 - o.beta1())),
        beta2(static_cast<C>(o.beta2())),
        eps(static_cast<C>(o.eps())) {}
  /// t.a = lr / (1 - beta1^step)
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& m, C& u) const {
    g = decay(p, g);
    m = lerp(m, g, one_minus_beta1);
    const C old = u * beta2, now = std::abs(g) + eps;
    u = now > old || now != now ? now : old;
    p = p - t.a * m / u;
  }
};

/// The running means of Adam's kin: m of g, v of g^2.
template <class C>
struct Moments {
  Decay<C> decay;
  C one_minus_beta1, beta2, one_minus_beta2, eps;
  template <class Options>
  explicit Moments(const Options& o)
      : decay(o, o.lr(), o.decoupled()),
        one_minus_beta1(static_cast<C>(1 - o.beta1())),
        beta2(static_cast<C>(o.beta2())),
        one_minus_beta2(static_cast<C>(1 - o.beta2())),
        eps(static_cast<C>(o.eps())) {}
  /// Decays p or g, and lets g count in m and v.
  NORCH_STEP void operator()(C& p, C& g, C& m, C& v) const {
    g = decay(p, g);
    m = lerp(m, g, one_minus_beta1);
    v = multiply_add(one_minus_beta2 * g, g, v * beta2);
  }
};

template <class C>
struct NadamRule {
  static constexpr int states = 2;
  Moments<C> moments;
  explicit NadamRule(const optim::NadamOptions& o) : moments(o) {}
  /// t.a and t.b: the weights of g and m; t.c = 1 - beta2^step
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& m, C& v) const {
    moments(p, g, m, v);
    const C d = std::sqrt(v / t.c) + moments.eps;
    p = p - t.a * g / d;
    p = p - t.b * m / d;
  }
};

template <class C>
struct RadamRule {
  static constexpr int states = 2;
  Moments<C> moments;
  C lr;
  explicit RadamRule(const optim::RadamOptions& o) : moments(o), lr(static_cast<C>(o.lr())) {}
  /// t.a = 1 - beta1^step; t.b = r(step) * sqrt(1 - beta2^step), or 0 for a step without v
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& m, C& v) const {
    moments(p, g, m, v);
    const C adapted = t.b / (std::sqrt(v) + moments.eps);
    p = p - m / t.a * lr * (t.b != C(0) ? adapted : C(1));
  }
};

template <class C>
struct AdagradRule {
  static constexpr int states = 1;
  Decay<C> decay;
  C eps;
  explicit AdagradRule(const optim::AdagradOptions& o) : decay(o), eps(static_cast<C>(o.eps())) {}
  /// t.a = lr / (1 + (step - 1) * lr_decay)
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& sum) const {
    g = decay(p, g);
    sum = multiply_add(g, g, sum);
    p = p - t.a * g / (std::sqrt(sum) + eps);
  }
};

template <class C>
struct AdadeltaRule {
  static constexpr int states = 2;
  Decay<C> decay;
  C lr, rho, one_minus_rho, eps;
  explicit AdadeltaRule(const optim::AdadeltaOptions& o)
      : decay(o),
        lr(static_cast<C>(o.lr())),
        rho(static_cast<C>(o.rho())),
        one_minus_rho(static_cast<C>(1 - o.rho())),
        eps(static_cast<C>(o.eps())) {}
  NORCH_STEP void operator()(const PerTensor<C>&, C& p, C g, C& square, C& acc) const {
    g = decay(p, g);
    square = multiply_add(one_minus_rho * g, g, square * rho);
    const C delta = std::sqrt(acc + eps) / std::sqrt(square + eps) * g;
    acc = multiply_add(one_minus_rho * delta, delta, acc * rho);
    p = multiply_add(-lr, delta, p);
  }
};

template <class C>
struct RpropRule {
  static constexpr int states = 2;
  C eta_minus, eta_plus, min_step, max_step;
  bool maximize;
  explicit RpropRule(const optim::RpropOptions& o)
      : eta_minus(static_cast<C>(o.eta_minus())),
        eta_plus(static_cast<C>(o.eta_plus())),
        min_step(static_cast<C>(o.min_step())),
        max_step(static_cast<C>(o.max_step())),
        maximize(o.maximize()) {}
  NORCH_STEP void operator()(const PerTensor<C>&, C& p, C g, C& prev, C& size) const {
    g = maximize ? -g : g;
    const C turn = g * prev;
    size = size * (turn > C(0) ? eta_plus : turn < C(0) ? eta_minus : C(1));
    size = size < min_step ? min_step : size;
    size = size > max_step ? max_step : size;
    g = turn < C(0) ? C(0) : g;
    p = p - (g > C(0) ? size : g < C(0) ? -size : C(0));
    prev = g;
  }
};

template <class C>
struct AsgdRule {
  static constexpr int states = 1;
  Decay<C> decay;
  explicit AsgdRule(const optim::AsgdOptions& o) : decay(o) {}
  /// t.a = 1 - lambd * eta; t.b = eta; t.c = mu
  NORCH_STEP void operator()(const PerTensor<C>& t, C& p, C g, C& average) const {
    g = decay(p, g);
    p = p * t.a;
    p = multiply_add(-t.b, g, p);
    average = t.c == C(1) ? p : average + (p - average) * t.c;
  }
};

// The functor of a rule, from its options.
template <class C>
AdamaxRule<C> rule_of(const optim::AdamaxOptions& o) { return AdamaxRule<C>(o); }
template <class C>
NadamRule<C> rule_of(const optim::NadamOptions& o) { return NadamRule<C>(o); }
template <class C>
RadamRule<C> rule_of(const optim::RadamOptions& o) { return RadamRule<C>(o); }
template <class C>
AdagradRule<C> rule_of(const optim::AdagradOptions& o) { return AdagradRule<C>(o); }
template <class C>
AdadeltaRule<C> rule_of(const optim::AdadeltaOptions& o) { return AdadeltaRule<C>(o); }
template <class C>
RpropRule<C> rule_of(const optim::RpropOptions& o) { return RpropRule<C>(o); }
template <class C>
AsgdRule<C> rule_of(const optim::AsgdOptions& o) { return AsgdRule<C>(o); }

/// Calls run(step, tag) with the functor of the rule and dtype.
template <class Run>
void visit_rule(DType dtype, const optim::Rule& rule, Run&& run) {
  std::visit(
      [&](const auto& options) {
        visit_float("rule_step", dtype,
                    [&](auto tag) { run(rule_of<ComputeType<typename decltype(tag)::type>>(options), tag); });
      },
      rule);
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
