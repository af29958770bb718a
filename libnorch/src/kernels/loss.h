// Elementwise losses of an input and a target, with the reduction fused in. The scalar maths is compiled for both
// devices.
#pragma once

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "kernels/plan.h"

namespace norch::kernels {

/// l(x, t) with input x and target t. The first four depend on x - t alone and have a constant second derivative nearly
/// everywhere.
enum class LossOp : uint8_t { Mse, L1, SmoothL1, Huber, Bce, BceLogits, KlDiv, KlDivLog };

constexpr bool is_difference(LossOp op) { return op <= LossOp::Huber; }

/// out = l(x, t) over a plan of {out, x, t} of one float dtype.
NORCH_KERNEL(loss_value, void(LossOp op, const Plan& plan, double parameter))
/// out = scale * sum of l(x, t) for contiguous x and t of one shape and a one-element out.
NORCH_KERNEL(loss_sum, void(LossOp op, const Tensor& out, const Tensor& x, const Tensor& t, double parameter,
                            double scale))
/// out = g * scale * l'(x, t), the derivative in x of the given order (1 or 2), over a plan of {out, g, x, t}. Order 2
/// exists for differences.
NORCH_KERNEL(loss_derivative, void(LossOp op, int order, const Plan& plan, double parameter, double scale))

/// Elements that one partial sum of loss_sum covers.
inline constexpr int64_t kLossChunk = 8192;

inline namespace NORCH_ISA {

struct MseLoss {
  template <class C>
  static NORCH_HD C value(C x, C t, C) {
    return (x - t) * (x - t);
  }
  template <class C>
  static NORCH_HD C first(C x, C t, C) {
    return C(2) * (x - t);
  }
  template <class C>
  static NORCH_HD C second(C, C, C) {
    return C(2);
  }
};

struct L1Loss {
  template <class C>
  static NORCH_HD C value(C x, C t, C) {
    const C d = x - t;
    return d < C(0) ? -d : d;
  }
  template <class C>
  static NORCH_HD C first(C x, C t, C) {
    const C d = x - t;
    return d > C(0) ? C(1) : d < C(0) ? C(-1) : d;  // d itself: zero or NaN
  }
  template <class C>
  static NORCH_HD C second(C, C, C) {
    return C(0);
  }
};

struct SmoothL1Loss {
  template <class C>
  static NORCH_HD C value(C x, C t, C beta) {
    const C d = x - t, a = d < C(0) ? -d : d;
    return a < beta ? C(0.5) * d * d / beta : a - C(0.5) * beta;
  }
  template <class C>
  static NORCH_HD C first(C x, C t, C beta) {
    const C d = x - t;
    return d <= -beta ? C(-1) : d >= beta ? C(1) : d / beta;
  }
  template <class C>
  static NORCH_HD C second(C x, C t, C beta) {
    const C d = x - t;
    return d > -beta && d < beta ? C(1) / beta : C(0);
  }
};

struct HuberLoss {
  template <class C>
  static NORCH_HD C value(C x, C t, C delta) {
    const C d = x - t, a = d < C(0) ? -d : d;
    return a <= delta ? C(0.5) * d * d : delta * (a - C(0.5) * delta);
  }
  template <class C>
  static NORCH_HD C first(C x, C t, C delta) {
    const C d = x - t;
    return d <= -delta ? -delta : d >= delta ? delta : d;
  }
  template <class C>
  static NORCH_HD C second(C x, C t, C delta) {
    const C d = x - t;
    return d > -delta && d < delta ? C(1) : C(0);
  }
};

/// Logarithms are kept above -100, so that a probability of exactly 0 or 1 gives a finite loss.
struct BceLoss {
  template <class C>
  static NORCH_HD C clamped_log(C v) {
    const C l = std::log(v);
    return l < C(-100) ? C(-100) : l;
  }
  template <class C>
  static NORCH_HD C value(C x, C t, C) {
    return (t - C(1)) * clamped_log(C(1) - x) - t * clamped_log(x);
  }
  template <class C>
  static NORCH_HD C first(C x, C t, C) {
    const C v = (C(1) - x) * x;
    return (x - t) / (v < C(1e-12) ? C(1e-12) : v);
  }
};

struct BceLogitsLoss {
  template <class C>
  static NORCH_HD C value(C x, C t, C) {
    const C a = x < C(0) ? -x : x;
    return (C(1) - t) * x + std::log1p(std::exp(-a)) + (x < C(0) ? -x : C(0));
  }
  template <class C>
  static NORCH_HD C first(C x, C t, C) {
    return C(1) / (C(1) + std::exp(-x)) - t;
  }
};

struct KlDivLoss {
  template <class C>
  static NORCH_HD C value(C x, C t, C) {
    return (t == C(0) ? C(0) : t * std::log(t)) - t * x;
  }
  template <class C>
  static NORCH_HD C first(C, C t, C) {
    return -t;
  }
};

struct KlDivLogLoss {
  template <class C>
  static NORCH_HD C value(C x, C t, C) {
    return std::exp(t) * (t - x);
  }
  template <class C>
  static NORCH_HD C first(C, C t, C) {
    return -std::exp(t);
  }
};

template <class Run>
void visit_difference(LossOp op, Run&& run) {
  switch (op) {
    case LossOp::Mse: return run(MseLoss{});
    case LossOp::L1: return run(L1Loss{});
    case LossOp::SmoothL1: return run(SmoothL1Loss{});
    default: return run(HuberLoss{});
  }
}
template <class Run>
void visit_loss(LossOp op, Run&& run) {
  switch (op) {
    case LossOp::Bce: return run(BceLoss{});
    case LossOp::BceLogits: return run(BceLogitsLoss{});
    case LossOp::KlDiv: return run(KlDivLoss{});
    case LossOp::KlDivLog: return run(KlDivLogLoss{});
    default: return visit_difference(op, run);
  }
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
