// Batch normalisation's numbers per channel, for kernels/norm.h's channel_affine. Vectors of a number per channel have the
// compute type of x (float32, or float64 for float64); all tensors are contiguous; x and g have elements.
#pragma once

#include <cmath>

#include "kernels/narrow_kernel.h"
#include "kernels/norm.h"

namespace norch::kernels {

struct BatchStats {
  Tensor mean, rstd, scale, shift;   // results: 1 / sqrt(var + eps), weight * rstd, bias - mean * scale
  Tensor weight, bias;               // undefined: 1 and 0
  Tensor running_mean, running_var;  // undefined in training where they are not kept
  double eps = 0, momentum = 0;
};
/// With an x, mean and biased variance are those of its channels, and running = (1 - momentum) * running + momentum *
/// value, where the variance's value is the unbiased one. Without, they are the running ones.
NORCH_NARROW_KERNEL(batch_stats, void(const ChannelShape& shape, const BatchStats& stats, const Tensor& x))

struct BatchGradients {
  Tensor weight, bias;       // results: rstd * sum of g * (x - mean), and the sum of g
  Tensor b, c;               // results, or undefined: the gradient of x is scale * g + b * x + c, if the statistics are x's
  Tensor mean, rstd, scale;  // as batch_stats made them
};
NORCH_NARROW_KERNEL(batch_gradients, void(const ChannelShape& shape, const BatchGradients& d, const Tensor& g,
                                          const Tensor& x))

inline namespace NORCH_ISA {

/// The pointers of a BatchStats, and its numbers for one channel.
template <class C>
struct BatchScales {
  C *mean, *rstd, *scale, *shift;
  const C *weight, *bias;
  C *running_mean, *running_var;
  C eps, momentum, unbiased;  // unbiased: n / (n - 1)

  BatchScales(const BatchStats& s, double n)
      : mean(at(s.mean)), rstd(at(s.rstd)), scale(at(s.scale)), shift(at(s.shift)), weight(at(s.weight)), bias(at(s.bias)),
        running_mean(at(s.running_mean)), running_var(at(s.running_var)), eps(static_cast<C>(s.eps)),
        momentum(static_cast<C>(s.momentum)), unbiased(static_cast<C>(n / (n - 1))) {}

  NORCH_HD void from_running(int64_t k) const { set(k, running_mean[k], running_var[k]); }
  NORCH_HD void from_batch(int64_t k, C m, C var) const {
    set(k, m, var);
    if (running_mean) running_mean[k] = (1 - momentum) * running_mean[k] + momentum * m;
    if (running_var) running_var[k] = (1 - momentum) * running_var[k] + momentum * (var * unbiased);
  }

 private:
  static C* at(const Tensor& t) { return t.defined() ? static_cast<C*>(t.data_ptr()) : nullptr; }
  NORCH_HD void set(int64_t k, C m, C var) const {
    const C r = 1 / std::sqrt(var + eps), s = weight ? weight[k] * r : r;
    mean[k] = m;
    rstd[k] = r;
    scale[k] = s;
    shift[k] = (bias ? bias[k] : C(0)) - m * s;
  }
};

/// The same of a BatchGradients; n elements in a channel.
template <class C>
struct BatchSlopes {
  C *weight, *bias, *b, *c;
  const C *mean, *rstd, *scale;
  C share;

  BatchSlopes(const BatchGradients& d, double n)
      : weight(at(d.weight)), bias(at(d.bias)), b(at(d.b)), c(at(d.c)), mean(at(d.mean)), rstd(at(d.rstd)),
        scale(at(d.scale)), share(static_cast<C>(1 / n)) {}

  NORCH_HD void set(int64_t k, C sum_g, C sum_gx) const {
    weight[k] = sum_gx * rstd[k];
    bias[k] = sum_g;
    if (!b) return;
    const C slope = -(scale[k] * (rstd[k] * rstd[k])) * (sum_gx * share);
    b[k] = slope;
    c[k] = -(scale[k] * (sum_g * share) + slope * mean[k]);
  }

 private:
  static C* at(const Tensor& t) { return t.defined() ? static_cast<C*>(t.data_ptr()) : nullptr; }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
