// Chebyshev series for one number, on both devices.
#pragma once

#include "kernels/special_math.h"

namespace norch::kernels {
inline namespace NORCH_ISA {

/// c[0] + c[1] T_1(t) + c[2] T_2(t) + ..., by Clenshaw's recurrence.
template <int N>
NORCH_HD double chebyshev(const double (&c)[N], double t) {
  double next = 0, now = 0;
  for (int k = N - 1; k > 0; --k) {
    const double before = c[k] + 2 * t * now - next;
    next = now;
    now = before;
  }
  return c[0] + t * now - next;
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
