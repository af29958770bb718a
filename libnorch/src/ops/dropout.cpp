#include "norch/ops/dropout.h"

#include <cmath>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/cpu/twister.h"
#include "kernels/random.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/fold.h"
#include "norch/ops/random.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/drop_elements.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;

namespace {

void check(const char* op, const Tensor& x, double p, bool training) {
  NORCH_CHECK_VALUE(p >= 0 && p <= 1, "dropout probability has to be between 0 and 1, but got ", p);
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point() || !training || p == 0, op, ": not implemented for ", x.dtype(),
                          "; use a floating-point dtype");
}

Tensor drop(const Tensor& input, double p) {
  if (!kernels::cpu::twister(nullptr, input.device())) return drop_elements(input, default_generator().next(), p);
  // The twister has no way back to numbers drawn before, so the mask is kept.
  if (p == 1) return input * Scalar(0.0);
  return input * (bernoulli_(empty_like(input.detach()), 1 - p) / Scalar(1 - p));
}

/// 1 with probability 1 - p, otherwise 0; one value for each index of the leading dims of x.
Tensor channel_noise(const Tensor& x, double p, int64_t channel_dims) {
  NORCH_CHECK(x.dim() >= channel_dims, "feature dropout requires at least ", channel_dims, " dimensions in the input");
  Shape shape(x.sizes());
  for (int64_t d = channel_dims; d < x.dim(); ++d) shape[d] = 1;
  return bernoulli_(empty(shape, x.options()), 1 - p);
}

/// noise * a + (noise - 1) * (alpha * a) + alpha * a * p, applied to x.
Tensor apply_alpha(const Tensor& x, const Tensor& noise, double p) {
  // -alpha is the limit of SELU: -scale * alpha of its definition.
  constexpr double alpha = 1.7580993408473766;
  const double a = 1 / std::sqrt((alpha * alpha * p + 1) * (1 - p));
  const Tensor shift = (noise - Scalar(1)) * Scalar(alpha * a) + Scalar(alpha * a * p);
  return x * (noise * Scalar(a)) + shift;
}

}  // namespace

Tensor drop_elements(const Tensor& input, PhiloxState state, double p, int64_t first) {
  Tensor x = input.contiguous();
  // The kernel begins with a whole block of four numbers.
  const int64_t before = first % 4;
  if (before > 0) x = pad(flatten(x.detach()), {before, 0});
  Tensor out = new_tensor(x.sizes(), x.dtype(), x.device());
  kernels::dropout(x.device(), out, x, state, p, p == 1 ? 0 : 1 / (1 - p), static_cast<uint64_t>(first / 4));
  if (before > 0) out = reshape(narrow(out, 0, before, input.numel()), input.sizes());
  if (recording(input))
    record("DropoutBackward0", {input}, {out},
           [state, p, first](Backward& ctx) { ctx.set(0, drop_elements(ctx.grad(), state, p, first)); });
  return out;
}

Tensor dropout(const Tensor& input, double p, bool training) {
  check("dropout", input, p, training);
  if (!training || p == 0 || input.numel() == 0) return input;
  return drop(input, p);
}

Tensor dropout_(const Tensor& self, double p, bool training) {
  check("dropout_", self, p, training);
  if (!training || p == 0 || self.numel() == 0) return self;
  autograd::InPlace write("dropout_", self);
  return write.finish(drop(write.input(), p));
}

Tensor feature_dropout(const Tensor& input, double p, bool training, int64_t channel_dims) {
  check("feature_dropout", input, p, training);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return input * Scalar(0.0);
  return input * (channel_noise(input, p, channel_dims) / Scalar(1 - p));
}

Tensor alpha_dropout(const Tensor& input, double p, bool training) {
  check("alpha_dropout", input, p, training);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return input * Scalar(0.0);
  return apply_alpha(input, bernoulli_(empty_like(input), 1 - p), p);
}

Tensor feature_alpha_dropout(const Tensor& input, double p, bool training, int64_t channel_dims) {
  check("feature_alpha_dropout", input, p, training);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return input * Scalar(0.0);
  return apply_alpha(input, channel_noise(input, p, channel_dims), p);
}

}  // namespace norch
