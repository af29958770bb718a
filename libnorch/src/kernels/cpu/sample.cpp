#include "kernels/sample.h"

#include "kernels/cpu/parallel.h"
#include "kernels/random.h"
#include "kernels/random_rejection.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {
constexpr int64_t kGrain = 64;

/// out[i] = f(i).
template <class F>
void fill_each(const Tensor& out, const F& f) {
  double* const to = out.data<double>();
  parallel_for(out.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = f(i);
  });
}
}  // namespace

void random_gamma(const Tensor& out, const Tensor& shape, PhiloxState state) {
  const double* const shapes = shape.data<double>();
  fill_each(out, [=](int64_t i) {
    Attempts source(state, i);
    return gamma_number(shapes[i], source);
  });
}

void random_binomial(const Tensor& out, const Tensor& count, const Tensor& p, PhiloxState state) {
  const double *const counts = count.data<double>(), *const ps = p.data<double>();
  fill_each(out, [=](int64_t i) {
    Attempts source(state, i);
    return binomial_number(counts[i], ps[i], source);
  });
}

void gamma_slope(const Tensor& out, const Tensor& shape, const Tensor& x) {
  const double *const shapes = shape.data<double>(), *const xs = x.data<double>();
  fill_each(out, [=](int64_t i) { return gamma_sample_slope(shapes[i], xs[i]); });
}

void beta_slope(const Tensor& out, const Tensor& x, const Tensor& a, const Tensor& total) {
  const double *const xs = x.data<double>(), *const as = a.data<double>(), *const totals = total.data<double>();
  fill_each(out, [=](int64_t i) { return beta_sample_slope(xs[i], as[i], totals[i] - as[i]); });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
