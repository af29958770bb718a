#include <cmath>

#include "kernels/cpu/softmax_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// An infinite or undefined maximum is the result.
template <class C>
C row(const C* x, int64_t n) {
  const C high = highest(x, n);
  if (!std::isfinite(high)) return high;
  return high + static_cast<C>(std::log(sum_over<C>(n, [&](int64_t i) { return exp_of_negative(x[i] - high); })));
}

/// As row, for m <= kStrip columns side by side, `inner` from row to row.
template <class C>
void columns(C* out, const C* x, int64_t n, int64_t inner, int64_t m) {
  C high[kStrip];
  double sum[kStrip];
  highest_of_columns(high, x, n, inner, m);
  sum_over_columns<C>(sum, n, m, [&](int64_t i, int64_t j) { return exp_of_negative(x[i * inner + j] - high[j]); });
  for (int64_t j = 0; j < m; ++j)
    out[j] = std::isfinite(high[j]) ? high[j] + static_cast<C>(std::log(sum[j])) : high[j];
}

template <class T>
void run(const SoftmaxShape& s, T* out, const T* in) {
  using C = ComputeType<T>;
  for_each_strip<T, 1>(s, {in}, [&](const Strip<C, 1>& strip) {
    C result[kStrip];
    if (s.inner == 1)
      result[0] = row(strip.x[0], s.n);
    else
      columns(result, strip.x[0], s.n, strip.inner, strip.m);
    T* to = out + (strip.outer * s.inner + strip.column);
    for (int64_t j = 0; j < strip.m; ++j) to[j] = static_cast<T>(result[j]);
  });
}

}  // namespace

void logsumexp(const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("logsumexp", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    run<T>(s, out.data<T>(), in.data<T>());
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
