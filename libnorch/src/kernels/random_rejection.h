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

/// A gamma number of the given shape and rate 1 (Marsaglia and Tsang, "A simple method for generating gamma variables",
/// 2000); a shape below 1 is raised by 1 and the number multiplied by u^(1 / shape). As in PyTorch, what is made of the
/// shape alone has its type C, and a third and the squeeze's constant are those of float32.
template <class C, class Source>
NORCH_HD double gamma_number(C shape, Source& source) {
  if (!(shape > 0) || shape == C(HUGE_VAL)) return shape < 0 ? NAN : static_cast<double>(shape);
  double scale = 1;
  if (shape < 1) {
    scale = std::pow(1 - source.uniform(), static_cast<double>(1 / shape));
    shape += 1;
  }
  const double d = static_cast<double>(shape - static_cast<C>(1.0f / 3.0f)), c = 1 / std::sqrt(9 * d);
  for (;;) {
    double x, y;
    do {
      x = source.normal();
      y = 1 + c * x;
    } while (y <= 0);
    const double v = y * y * y, u = 1 - source.uniform(), xx = x * x;
    if (u < 1 - static_cast<double>(0.0331f) * xx * xx) return scale * d * v;
    if (std::log(u) < 0.5 * xx + d * (1 - v + std::log(v))) return scale * d * v;
  }
}

/// What Stirling's formula for log(k!) lacks.
NORCH_HD double stirling_rest(double k) {
  if (k < 10) return log_gamma(k + 1) - (0.5 * std::log(2 * kPi) + (k + 0.5) * std::log(k + 1) - (k + 1));
  const double square = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

/// Successes of `count` trials of probability p <= 1/2. Few are counted by geometric gaps; many are drawn by transformed
/// rejection with squeeze (Hoermann, "The generation of binomial random variates", 1993, algorithm BTRS).
template <class Source>
NORCH_HD double binomial_successes(double count, double p, Source& source) {
  if (count * p < 10) {
    const double log_failure = std::log1p(-p);
    double trials = 0, successes = 0;
    for (;; successes += 1) {
      trials += std::ceil(std::log(source.uniform()) / log_failure);
      if (!(trials <= count)) return successes;
    }
  }
  const double deviation = std::sqrt(count * p * (1 - p));
  const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, c = count * p + 0.5;
  const double accept = 0.92 - 4.2 / b, odds = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation;
  const double mode = std::floor((count + 1) * p);
  for (;;) {
    const double u = source.uniform() - 0.5;
    double v = source.uniform();
    const double margin = 0.5 - (u < 0 ? -u : u);
    const double k = std::floor((2 * a / margin + b) * u + c);
    if (margin >= 0.07 && v <= accept) return k;
    if (k < 0 || k > count) continue;
    v = std::log(v * alpha / (a / (margin * margin) + b));
    const double bound = (mode + 0.5) * std::log((mode + 1) / (odds * (count - mode + 1))) +
                         (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
                         (k + 0.5) * std::log(odds * (count - k + 1) / (k + 1)) + stirling_rest(mode) +
                         stirling_rest(count - mode) - stirling_rest(k) - stirling_rest(count - k);
    if (v <= bound) return k;
  }
}

/// A binomial number; NaN where an argument is.
template <class Source>
NORCH_HD double binomial_number(double count, double p, Source& source) {
  if (count != count || p != p || count > 1e300) return NAN;
  if (count <= 0 || p <= 0) return 0;
  if (p >= 1) return count;
  return p <= 0.5 ? binomial_successes(count, p, source) : count - binomial_successes(count, 1 - p, source);
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
