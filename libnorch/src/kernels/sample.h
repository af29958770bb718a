// Gamma and binomial numbers, and how samples move with the parameters of their distribution. Contiguous float64
// tensors of one shape.
//
// A sample x of a distribution function F(x; a) moves, at a fixed quantile, by dx/da = -(dF/da) / (dF/dx): the implicit
// reparametrisation of Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
#pragma once

#include "kernels/narrow_kernel.h"
#include "kernels/special_math.h"
#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// out = gamma numbers of the shapes.
NORCH_NARROW_KERNEL(random_gamma, void(const Tensor& out, const Tensor& shape, PhiloxState state))
/// out = binomial numbers of the counts and probabilities.
NORCH_NARROW_KERNEL(random_binomial, void(const Tensor& out, const Tensor& count, const Tensor& p, PhiloxState state))
/// out = dx / d shape for gamma numbers x.
NORCH_NARROW_KERNEL(gamma_slope, void(const Tensor& out, const Tensor& shape, const Tensor& x))
/// out = dx / da / (1 - x) for beta numbers x of parameters a and total - a.
NORCH_NARROW_KERNEL(beta_slope, void(const Tensor& out, const Tensor& x, const Tensor& a, const Tensor& total))

inline namespace NORCH_ISA {

constexpr int kSlopeTerms = 20000;

/// A power series and its derivative by a parameter: 1 + t1 + t1 t2 + ..., where term n is the one before times ratio(n)
/// and the logarithm of ratio(n) has the derivative slope(n).
template <class Ratio, class Slope>
NORCH_HD void series_and_slope(const Ratio& ratio, const Slope& slope, double& sum, double& derivative) {
  double term = 1, logs = 0;
  sum = 1;
  derivative = 0;
  for (int n = 1; n < kSlopeTerms; ++n) {
    term *= ratio(n);
    logs += slope(n);
    sum += term;
    derivative += term * logs;
    if (!(term > 1e-17 * sum)) return;
  }
}

/// dx / da of a gamma number x of shape a.
NORCH_HD_LONG double gamma_sample_slope(double a, double x) {
  if (!(a > 0) || !(x >= 0) || x == HUGE_VAL) return NAN;
  if (x == 0) return 0;
  if (a > 1000) {
    // Cornish and Fisher's expansion x = a + z sqrt(a) + (z^2 - 1) / 3 + ... of the quantile z, first solved for z.
    const double root = std::sqrt(a);
    double z = (x - a) / root;
    for (int k = 0; k < 30; ++k) {
      const double zz = z * z, f = a + z * root + (zz - 1) / 3 + z * (zz - 7) / (36 * root) - x;
      const double step = f / (root + 2 * z / 3 + (3 * zz - 7) / (36 * root));
      z -= step;
      if (std::fabs(step) < 1e-12) break;
    }
    const double zz = z * z;
    return 1 + z / (2 * root) - z * (zz - 7) / (72 * a * root) + (3 * zz * zz + 7 * zz - 16) / (810 * a * a);
  }
  const double log_x = std::log(x);
  if (x <= a + 1) {
    // P(a, x) = x^a e^-x / gamma(a + 1) sum of x^n / ((a + 1) ... (a + n))   (DLMF 8.11.4)
    double sum, slope;
    series_and_slope([=](int n) { return x / (a + n); }, [=](int n) { return -1 / (a + n); }, sum, slope);
    return -(x / a) * (sum * (log_x - digamma_of(a + 1)) + slope);
  }
  // Q(a, x) = x^a e^-x / gamma(a) C, C a continued fraction (DLMF 8.9.2), here with its derivative, by Lentz's method.
  double b = x + 1 - a, c = 1e300, slope_c = 0, d = 1 / b, slope_d = d * d;
  double h = d, log_slope = slope_d / d;
  for (int n = 1; n < kSlopeTerms; ++n) {
    const double numerator = -n * (n - a);
    b += 2;
    const double e = numerator * d + b;  // its derivative: n d + numerator d' - 1
    const double slope_e = n * d + numerator * slope_d - 1;
    slope_c = n / c - numerator * slope_c / (c * c) - 1;
    c = b + numerator / c;
    d = 1 / e;
    slope_d = -slope_e * d * d;
    h *= c * d;
    const double change = slope_c / c + slope_d / d;
    log_slope += change;
    if (std::fabs(c * d - 1) < 1e-16 && std::fabs(change) < 1e-15 * (1 + std::fabs(log_slope))) break;
  }
  return x * h * (log_x - digamma_of(a) + log_slope);
}

/// dx / da / (1 - x) of a beta number x of parameters a and b.
NORCH_HD_LONG double beta_sample_slope(double x, double a, double b) {
  if (!(a > 0) || !(b > 0) || !(x >= 0) || !(x <= 1)) return NAN;
  if (x == 0) return 0;
  // I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) F(a + b, 1; a + 1; x)   (DLMF 8.17.8), or 1 - I_(1-x)(b, a)
  const double total = a + b, logs = std::log(x) + digamma_of(total);
  double sum, slope;
  if (x < (a + 1) / (total + 2)) {
    series_and_slope([=](int n) { return x * (total + n - 1) / (a + n); },
                     [=](int n) { return 1 / (total + n - 1) - 1 / (a + n); }, sum, slope);
    return -(x / a) * (sum * (logs - digamma_of(a + 1)) + slope);
  }
  const double y = 1 - x;
  series_and_slope([=](int n) { return y * (total + n - 1) / (b + n); }, [=](int n) { return 1 / (total + n - 1); }, sum,
                   slope);
  return (x / b) * (sum * (logs - digamma_of(a)) + slope);
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
