// Connectionist temporal classification: sums over all alignments of a target with a sequence (Graves et al. 2006).
//
// A target of S labels is read as 2 S + 1 states, blanks around and between the labels. From one step to the next a path
// stays in its state, goes to the next one, or passes over a blank between two different labels.
#pragma once

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/narrow_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// All tensors are contiguous; log_probs (steps, batch, classes) is float or double, and so are the tables.
struct Ctc {
  int64_t steps = 0, batch = 0, classes = 0, states = 0;  // states: of the longest target
  int64_t blank = 0;
  Tensor targets;         // int64, of all samples
  Tensor offsets;         // int64 (batch): where a sample's labels begin
  Tensor input_lengths;   // int64 (batch)
  Tensor target_lengths;  // int64 (batch)
};

/// Calls f with the type of the tables.
template <class F>
void visit_ctc(DType log_probs, const F& f) {
  if (log_probs == DType::Float64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

/// alpha (batch, steps, states): the log-probability of all ways to be in a state at a step. losses (batch): minus that of
/// the whole target. Labels outside [0, classes) raise IndexError.
NORCH_NARROW_KERNEL(ctc_loss, void(const Ctc& ctc, const Tensor& losses, const Tensor& alpha, const Tensor& log_probs))
/// grad (steps, batch, classes): (the probability of a class at a step - its share among the paths of the target) *
/// grad_out (batch), 0 past the input's length and, with `zero_infinity`, for samples of infinite loss. `beta` is scratch
/// like alpha.
NORCH_NARROW_KERNEL(ctc_loss_backward, void(const Ctc& ctc, const Tensor& grad, const Tensor& beta,
                                            const Tensor& grad_out, const Tensor& losses, const Tensor& alpha,
                                            const Tensor& log_probs, bool zero_infinity))

inline namespace NORCH_ISA {

template <class C>
NORCH_HD C ctc_log_sum(C a, C b, C c) {
  C m = a > b ? a : b;
  m = m > c ? m : c;
  if (m == -static_cast<C>(INFINITY)) return m;
  return m + std::log(std::exp(a - m) + std::exp(b - m) + std::exp(c - m));
}

/// One sample.
template <class C>
struct CtcSample {
  const int64_t* labels;
  int64_t steps, states, blank, classes;
  int64_t row;     // from one step of log_probs to the next
  const C* probs;  // of step 0

  NORCH_HD int64_t label(int64_t s) const { return s % 2 ? labels[s / 2] : blank; }
  NORCH_HD C prob(int64_t t, int64_t s) const { return probs[t * row + label(s)]; }
  /// Whether a path may come to state s from s - 2.
  NORCH_HD bool skips(int64_t s) const { return s % 2 && s >= 2 && labels[s / 2] != labels[s / 2 - 1]; }

  NORCH_HD C first(int64_t s) const { return s < 2 ? prob(0, s) : -static_cast<C>(INFINITY); }
  NORCH_HD C forward(const C* before, int64_t t, int64_t s) const {
    const C none = -static_cast<C>(INFINITY);
    return ctc_log_sum(before[s], s >= 1 ? before[s - 1] : none, skips(s) ? before[s - 2] : none) + prob(t, s);
  }
  NORCH_HD C last(int64_t s) const { return s >= states - 2 ? prob(steps - 1, s) : -static_cast<C>(INFINITY); }
  NORCH_HD C backward(const C* after, int64_t t, int64_t s) const {
    const C none = -static_cast<C>(INFINITY);
    return ctc_log_sum(after[s], s + 1 < states ? after[s + 1] : none,
                       s + 2 < states && skips(s + 2) ? after[s + 2] : none) +
           prob(t, s);
  }
  /// The loss from alpha's last row; a sample without steps has one path for the empty target, none for others.
  NORCH_HD C loss(const C* alpha, int64_t table_states) const {
    const C none = -static_cast<C>(INFINITY);
    if (steps == 0) return states == 1 ? C(0) : -none;
    const C* end = alpha + (steps - 1) * table_states;
    return -ctc_log_sum(end[states - 1], states > 1 ? end[states - 2] : none, none);
  }
};

template <class C>
NORCH_HD CtcSample<C> ctc_sample(const int64_t* targets, int64_t offset, int64_t input_length, int64_t target_length,
                                 int64_t blank, int64_t classes, int64_t batch, const C* log_probs, int64_t n) {
  return {targets + offset, input_length, 2 * target_length + 1, blank, classes, batch * classes, log_probs + n * classes};
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
