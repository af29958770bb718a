// Orthogonal polynomials of degree n (a number, cut to an integer) at one x: three-term recurrences (DLMF 18.9), and
// between -1 and 1 trigonometric forms (DLMF 18.5) of the Chebyshev ones. 0 for n < 0 and for what is no integer (NaN,
// inf), as in PyTorch; NaN for a degree beyond 2^20, which the recurrences would take too long to reach.
#pragma once

#include "kernels/special_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

inline constexpr double kLastDegree = 1048576;

/// The degree as an integer, -1 for none.
NORCH_HD double degree_of(double n) { return n > -1 && n < 9e18 ? std::trunc(n) : -1; }

/// Runs p[k + 1] = step(k, p[k], p[k - 1]) from p[0] = 1 and p[1] = first up to p[n].
template <class Step>
NORCH_HD double recurrence(double n, double first, Step step) {
  if (n < 0) return 0;
  if (!(n < kLastDegree)) return NAN;
  const int last = static_cast<int>(n);
  if (last == 0) return 1;
  double before = 1, now = first;
  for (int k = 1; k < last && now == now; ++k) {
    const double next = step(static_cast<double>(k), now, before);
    before = now;
    now = next;
  }
  return now;
}
NORCH_HD double chebyshev_recurrence(double n, double x, double first) {
  return recurrence(n, first, [x](double, double now, double before) { return 2 * x * now - before; });
}
NORCH_HD bool is_odd(double n) { return std::fmod(n, 2.0) != 0; }

NORCH_HD_LONG double chebyshev_t(double x, double degree) {
  const double n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 || !is_odd(n) ? 1 : -1;
  if (n > 6 && std::fabs(x) < 1) return std::cos(n * std::acos(x));
  return chebyshev_recurrence(n, x, x);
}
NORCH_HD_LONG double chebyshev_u(double x, double degree) {
  const double n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 || !is_odd(n) ? n + 1 : -(n + 1);
  if (n > 8 && std::fabs(x) < 1) {
    const double angle = std::acos(x);
    return std::sin((n + 1) * angle) / std::sin(angle);
  }
  return chebyshev_recurrence(n, x, 2 * x);
}
NORCH_HD_LONG double chebyshev_v(double x, double degree) {
  const double n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 ? 1 : is_odd(n) ? -(2 * n + 1) : 2 * n + 1;
  if (n > 8 && std::fabs(x) < 1) {
    const double angle = std::acos(x);
    return std::cos((n + 0.5) * angle) / std::cos(angle / 2);
  }
  return chebyshev_recurrence(n, x, 2 * x - 1);
}
NORCH_HD_LONG double chebyshev_w(double x, double degree) {
  const double n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 ? 2 * n + 1 : is_odd(n) ? -1 : 1;
  if (n > 8 && std::fabs(x) < 1) {
    const double angle = std::acos(x);
    return std::sin((n + 0.5) * angle) / std::sin(angle / 2);
  }
  return chebyshev_recurrence(n, x, 2 * x + 1);
}
NORCH_HD_LONG double hermite_h(double x, double degree) {
  return recurrence(degree_of(degree), 2 * x,
                    [x](double k, double now, double before) { return 2 * x * now - 2 * k * before; });
}
NORCH_HD_LONG double hermite_he(double x, double degree) {
  return recurrence(degree_of(degree), x, [x](double k, double now, double before) { return x * now - k * before; });
}
NORCH_HD_LONG double laguerre_l(double x, double degree) {
  const double n = degree_of(degree);
  if (x == 0 && n >= 0) return 1;
  return recurrence(n, 1 - x, [x](double k, double now, double before) {
    return ((2 * k + 1 - x) * now - k * before) / (k + 1);
  });
}
NORCH_HD_LONG double legendre_p(double x, double degree) {
  const double n = degree_of(degree);
  if (std::fabs(x) == 1 && n >= 0) return x > 0 || !is_odd(n) ? 1 : -1;
  return recurrence(n, x, [x](double k, double now, double before) {
    return ((2 * k + 1) * x * now - k * before) / (k + 1);
  });
}
NORCH_HD_LONG double shifted_chebyshev_t(double x, double n) { return chebyshev_t(2 * x - 1, n); }
NORCH_HD_LONG double shifted_chebyshev_u(double x, double n) { return chebyshev_u(2 * x - 1, n); }
NORCH_HD_LONG double shifted_chebyshev_v(double x, double n) { return chebyshev_v(2 * x - 1, n); }
NORCH_HD_LONG double shifted_chebyshev_w(double x, double n) { return chebyshev_w(2 * x - 1, n); }

}  // namespace NORCH_ISA
}  // namespace norch::kernels
