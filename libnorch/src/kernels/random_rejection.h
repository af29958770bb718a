// Random numbers that take an unknown number of uniform ones: the algorithms, for both devices and every engine. A
// source has uniform() in [0, 1) and normal().
#pragma once

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "kernels/special_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

/// A Poisson number. Small rates count exponential gaps; large ones are drawn by transformed rejection (Hoermann, "The
/// transformed rejection method for generating Poisson random variables", 1993, algorithm PTRS).
template <class Source>
NORCH_HD double poisson_number(double rate, Source& source) {
  if (rate == 0) return 0;
  if (rate < 10) {
    const double limit = std::exp(-rate);
    double product = 1;
    for (double k = 0;; k += 1) {
      product *= source.uniform();
      if (product <= limit) return k;
    }
  }
  const double root = std::sqrt(rate), log_rate = std::log(rate);
  const double b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
  const double log_inverse_alpha = std::log(1.1239 + 1.1328 / (b - 3.4)), accept = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = source.uniform() - 0.5, v = source.uniform();
    const double margin = 0.5 - (u < 0 ? -u : u);
    const double k = std::floor((2 * a / margin + b) * u + rate + 0.43);
    if (margin >= 0.07 && v <= accept) return k;
    if (k < 0 || (margin < 0.013 && v > margin)) continue;
    if (std::log(v) + log_inverse_alpha - std::log(a / (margin * margin) + b) <= k * log_rate - rate - log_gamma(k + 1))
      return k;
  }
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
