// Orthogonal polynomials of degree n (a number, cut to an integer) at one x: three-term recurrences (DLMF 18.9), and
// between -1 and 1 trigonometric forms (DLMF 18.5) of the Chebyshev ones. 0 for n < 0 and for what is no integer (NaN,
// inf), as in PyTorch; NaN for a degree beyond 2^20, which the recurrences would take too long to reach. They run in the
// type T of the numbers, float or double, so that they overflow where PyTorch's do.
#pragma once

#include "kernels/special_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

inline constexpr double kLastDegree = 1048576;

/// The degree as an integer, -1 for none.
template <class T>
NORCH_HD T degree_of(T n) { return n > T(-1) && n < T(9e18) ? std::trunc(n) : T(-1); }

/// Runs p[k + 1] = step(k, p[k], p[k - 1]) from p[0] = 1 and p[1] = first up to p[n].
template <class T, class Step>
NORCH_HD T recurrence(T n, T first, Step step) {
  if (n < 0) return 0;
  if (!(n < T(kLastDegree))) return T(NAN);
  const int last = static_cast<int>(n);
  if (last == 0) return 1;
  T before = 1, now = first;
  for (int k = 1; k < last && now == now; ++k) {
    const T next = step(static_cast<T>(k), now, before);
    before = now;
    now = next;
  }
  return now;
}
template <class T>
NORCH_HD T chebyshev_recurrence(T n, T x, T first) {
  return recurrence(n, first, [x](T, T now, T before) { return 2 * x * now - before; });
}
template <class T>
NORCH_HD bool is_odd(T n) {
  return std::fmod(n, T(2)) != 0;
}

template <class T>
NORCH_HD_LONG T chebyshev_t(T x, T degree) {
  const T n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 || !is_odd(n) ? 1 : -1;
  if (n > 6 && std::fabs(x) < 1) return std::cos(n * std::acos(x));
  return chebyshev_recurrence(n, x, x);
}
template <class T>
NORCH_HD_LONG T chebyshev_u(T x, T degree) {
  const T n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 || !is_odd(n) ? n + 1 : -(n + 1);
  if (n > 8 && std::fabs(x) < 1) {
    const T angle = std::acos(x);
    return std::sin((n + 1) * angle) / std::sin(angle);
  }
  return chebyshev_recurrence(n, x, 2 * x);
}
template <class T>
NORCH_HD_LONG T chebyshev_v(T x, T degree) {
  const T n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 ? 1 : is_odd(n) ? -(2 * n + 1) : 2 * n + 1;
  if (n > 8 && std::fabs(x) < 1) {
    const T angle = std::acos(x);
    return std::cos((n + T(0.5)) * angle) / std::cos(angle / 2);
  }
  return chebyshev_recurrence(n, x, 2 * x - 1);
}
template <class T>
NORCH_HD_LONG T chebyshev_w(T x, T degree) {
  const T n = degree_of(degree);
  if (n < 0) return 0;
  if (std::fabs(x) == 1) return x > 0 ? 2 * n + 1 : is_odd(n) ? -1 : 1;
  if (n > 8 && std::fabs(x) < 1) {
    const T angle = std::acos(x);
    return std::sin((n + T(0.5)) * angle) / std::sin(angle / 2);
  }
  return chebyshev_recurrence(n, x, 2 * x + 1);
}
template <class T>
NORCH_HD_LONG T hermite_h(T x, T degree) {
  return recurrence(degree_of(degree), 2 * x,
                    [x](T k, T now, T before) { return 2 * x * now - 2 * k * before; });
}
template <class T>
NORCH_HD_LONG T hermite_he(T x, T degree) {
  return recurrence(degree_of(degree), x, [x](T k, T now, T before) { return x * now - k * before; });
}
template <class T>
NORCH_HD_LONG T laguerre_l(T x, T degree) {
  const T n = degree_of(degree);
  if (x == 0 && n >= 0) return 1;
  return recurrence(n, 1 - x, [x](T k, T now, T before) {
    return ((2 * k + 1 - x) * now - k * before) / (k + 1);
  });
}
template <class T>
NORCH_HD_LONG T legendre_p(T x, T degree) {
  const T n = degree_of(degree);
  if (std::fabs(x) == 1 && n >= 0) return x > 0 || !is_odd(n) ? 1 : -1;
  return recurrence(n, x, [x](T k, T now, T before) {
    return ((2 * k + 1) * x * now - k * before) / (k + 1);
  });
}
template <class T>
NORCH_HD_LONG T shifted_chebyshev_t(T x, T n) {
  return chebyshev_t(2 * x - 1, n);
}
template <class T>
NORCH_HD_LONG T shifted_chebyshev_u(T x, T n) {
  return chebyshev_u(2 * x - 1, n);
}
template <class T>
NORCH_HD_LONG T shifted_chebyshev_v(T x, T n) {
  return chebyshev_v(2 * x - 1, n);
}
template <class T>
NORCH_HD_LONG T shifted_chebyshev_w(T x, T n) {
  return chebyshev_w(2 * x - 1, n);
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
