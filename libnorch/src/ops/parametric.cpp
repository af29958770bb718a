// Leaky activations whose slope is a parameter or random.
#include "autograd/record.h"
#include "kernels/cpu/twister.h"
#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/random.h"
#include "norch/ops/ternary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// x above 0, slope x elsewhere. What was not chosen stays out of the gradients, even where it is infinite.
Tensor leaky(const Tensor& x, const Tensor& slope) {
  Tensor out;
  {
    autograd::NoGrad off;
    out = where(gt(x, Tensor::wrap(0)), x, slope * x);
  }
  if (recording(x, slope)) {
    record("PreluKernelBackward0", {x, slope}, {out}, [x = save(x), slope = save(slope)](Backward& ctx) {
      const Tensor v = ctx.get(x), &g = ctx.grad(), above = gt(v.detach(), Tensor::wrap(0));
      if (ctx.needs(0)) ctx.set(0, where(above, g, ctx.get(slope) * g));
      if (ctx.needs(1)) ctx.set(1, masked_fill(g * v, above, Tensor::wrap(0)));
    });
  }
  return out;
}

}  // namespace

Tensor prelu(const Tensor& x, const Tensor& weight) {
  NORCH_AUTOCAST(lower, prelu, x, weight);
  const Ints s = x.sizes();
  const int64_t n = weight.numel();
  NORCH_CHECK(weight.dim() <= 1, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = ", weight.dim());
  NORCH_CHECK(x.dtype() == weight.dtype(), "prelu: Type promoting not supported. Got ", x.dtype(), " and ", weight.dtype());
  const int64_t channels = s.size() >= 2 ? s[1] : 1;
  NORCH_CHECK(n == 1 || (!s.empty() && n == channels), "prelu: Mismatch of parameter numbers and input channel size. Found "
              "parameter numbers = ", n, " and channel size = ", channels, ": weight has shape ", weight.sizes(),
              " for an input of shape ", s);
  Shape along;
  for (size_t d = 0; d < s.size(); ++d) along.push_back(d == 1 && n != 1 ? n : 1);
  return leaky(x, reshape(weight, along));
}

Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator* generator) {
  NORCH_CHECK(lower <= upper, "rrelu: Lower bound should be less than or equal to the upper bound, got ", lower, " and ",
              upper);
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), "rrelu: not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  if (!training) return leaky_relu(x, (lower + upper) / 2);
  const Tensor slope = empty(x.sizes(), x.options());
  if (Generator* g = kernels::cpu::twister(generator, x.device()))
    kernels::cpu::twister_slopes(slope, *g, x.detach().contiguous(), lower, upper);
  else
    uniform_(slope, lower, upper, generator);
  return where(le(x, Tensor::wrap(0)), x * slope, x);
}

Tensor rrelu_(const Tensor& self, double lower, double upper, bool training, Generator* generator) {
  if (!training) return leaky_relu_(self, (lower + upper) / 2);
  return copy_(self, rrelu(self, lower, upper, training, generator));
}

}  // namespace norch
