// Losses of class scores and class indices.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Scores x[n, c, s] with a class index target[n, s] for each row of scores. Rows whose target is `ignore_index` count
/// for nothing. Sums are kept in the SumType of x's dtype; `weight` per class, `total_weight`, `out` and `g` have that
/// dtype.
struct ClassLoss {
  int64_t n, classes, inner;
  int64_t ignore_index;
  double smoothing;   // cross entropy: the share of the target that is spread evenly over the classes
  bool reduce, mean;  // mean: divided by the sum of the targets' weights
};

/// Of log-probabilities: l = -weight[t] * x[t]. `out` is 0-d, or one per row if not reduced; `total_weight` is 0-d;
/// `rows` is scratch of 2 x rows if reduced. `weight` may be undefined.
/// \throws IndexError for a target that is not a class (the CUDA twin: at the next wait).
NORCH_KERNEL(nll_forward, void(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& rows,
                               const Tensor& x, const Tensor& target, const Tensor& weight))
/// dx for the gradient g of `out`.
NORCH_KERNEL(nll_backward, void(const ClassLoss& loss, const Tensor& dx, const Tensor& g, const Tensor& total_weight,
                                const Tensor& target, const Tensor& weight))
/// Of unnormalised scores, log-softmax included: with q the smoothed target distribution, each class weighted,
/// l = sum over c of q[c] * (lse - x[c]) where lse = log(sum(exp(x))) is stored per row for backward.
NORCH_KERNEL(cross_entropy_forward,
             void(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& lse,
                  const Tensor& rows, const Tensor& x, const Tensor& target, const Tensor& weight))
/// dx[c] = g * (sum(q) * softmax(x)[c] - q[c]). dx may be x itself.
NORCH_KERNEL(cross_entropy_backward,
             void(const ClassLoss& loss, const Tensor& dx, const Tensor& g, const Tensor& total_weight,
                  const Tensor& x, const Tensor& lse, const Tensor& target, const Tensor& weight))
/// q itself, shaped as x.
NORCH_KERNEL(cross_entropy_targets,
             void(const ClassLoss& loss, const Tensor& q, const Tensor& target, const Tensor& weight))

inline namespace NORCH_ISA {

/// The weighted target distribution of a row: q[c] = spread * w[c] + (c == t ? peak * w[t] : 0), all zero for an
/// ignored row.
template <class S>
struct TargetWeights {
  S peak, spread;
  NORCH_HD TargetWeights(double smoothing, int64_t classes)
      : peak(static_cast<S>(1 - smoothing)), spread(static_cast<S>(smoothing / static_cast<double>(classes))) {}
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
