#include "kernels/batch_norm.h"

#include "core/factory.h"
#include "kernels/reduce.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class F>
void visit(DType t, const F& f) {
  if (t == DType::Float64)
    f(double{});
  else
    f(float{});
}

}  // namespace

void batch_stats(const ChannelShape& shape, const BatchStats& stats, const Tensor& x) {
  visit(stats.mean.dtype(), [&](auto zero) {
    using C = decltype(zero);
    const BatchScales<C> s(stats, static_cast<double>(shape.outer * shape.inner));
    if (!x.defined()) {
      for (int64_t k = 0; k < shape.channels; ++k) s.from_running(k);
      return;
    }
    const Tensor var = new_tensor({shape.channels}, stats.mean.dtype(), kCPU);
    MomentsArgs args;
    args.correction = 0;
    moments(make_reduce_plan(x, ~uint64_t{2}), stats.mean, var, args);
    const C *mean = static_cast<const C*>(stats.mean.data_ptr()), *vars = static_cast<const C*>(var.data_ptr());
    for (int64_t k = 0; k < shape.channels; ++k) s.from_batch(k, mean[k], vars[k]);
  });
}

void batch_gradients(const ChannelShape& shape, const BatchGradients& d, const Tensor& g, const Tensor& x) {
  visit(d.mean.dtype(), [&](auto zero) {
    using C = decltype(zero);
    const BatchSlopes<C> s(d, static_cast<double>(shape.outer * shape.inner));
    const Tensor sums = new_tensor({shape.channels}, d.mean.dtype(), kCPU);
    channel_sums(shape, d.bias, sums, g, x, d.mean);
    const C *sum_g = static_cast<const C*>(d.bias.data_ptr()), *sum_gx = static_cast<const C*>(sums.data_ptr());
    for (int64_t k = 0; k < shape.channels; ++k) s.set(k, sum_g[k], sum_gx[k]);
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
