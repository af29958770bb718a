// Normalisation of rows: layer_norm, rms_norm and normalize.
#include "kernels/norm.h"

#include <limits>

#include "core/factory.h"
#include "norch/ops/loss.h"
#include "norch/ops/ternary.h"
#include "ops/autocast.h"
#include "ops/norm_common.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

void check_normalized(const char* op, const char* what, const Tensor& w, const Tensor& x, Ints shape) {
  if (!w.defined()) return;
  NORCH_CHECK(w.sizes() == shape, op, ": Expected ", what, " to be of same shape as normalized_shape, but got ", what,
              " of shape ", w.sizes(), " and normalized_shape = ", shape);
  NORCH_CHECK(w.device() == x.device(), op, ": Expected all tensors to be on the same device, but found at least two "
              "devices, ", x.device(), " and ", w.device(), " (", what, ")");
}

void check_shape(const char* op, const Tensor& x, Ints shape, const Tensor& weight, const Tensor& bias) {
  NORCH_CHECK(!shape.empty(), op, ": Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
              "one element, but got normalized_shape = ", shape);
  const int64_t outer = x.dim() - static_cast<int64_t>(shape.size());
  NORCH_CHECK(outer >= 0 && x.sizes().slice(static_cast<size_t>(outer)) == shape, op, ": Given normalized_shape=", shape,
              ", expected input whose last dims have these sizes, but got input of size ", x.sizes());
  check_normalized(op, "weight", weight, x, shape);
  check_normalized(op, "bias", bias, x, shape);
}

/// Gradients by the fused kernel.
NormGradients fused_gradients(const Tensor& grad, const Tensor& input, const Tensor& mean, const Tensor& rstd,
                              const Tensor& weight, int64_t rows, int64_t n, const Backward& ctx) {
  const Tensor x = input.detach().contiguous();
  const DType type = stats_dtype(x);
  NormGradients out;
  if (ctx.needs(1)) out.weight = new_tensor({n}, type, x.device());
  if (ctx.needs(2)) out.bias = new_tensor({n}, type, x.device());
  // The residual path's gradient mostly has arrived: this one is added to it on the way. On the GPU it may come as the
  // product behind the layer norm left it.
  const Tensor w = as_stats(weight, x);
  const bool one_pass = !x.is_cuda() || ((ctx.needs(1) || ctx.needs(2)) && kernels::layer_norm_in_one_pass(n, x, grad, w));
  if (ctx.needs(0) && one_pass) out.x = ctx.take_sum(0);
  const bool add = out.x.defined();
  if (ctx.needs(0) && !add) out.x = new_tensor(x.sizes(), x.dtype(), x.device());
  Tensor twin, sums;
  if (const auto next = one_pass && out.x.defined() && x.dtype() == DType::Float32 ? ctx.cast_next(0) : std::nullopt) {
    twin = new_tensor(x.sizes(), next->dtype, x.device());
    if (next->wants_row_sums && x.is_cuda() && x.size(-1) == n && grad.itemsize() < x.itemsize())
      sums = new_tensor({n}, DType::Float32, x.device());
  }
  const Tensor g = one_pass && x.is_cuda() ? grad.detach() : grad.detach().to(x.dtype()).contiguous();
  kernels::layer_norm_backward(x.device(), rows, n, out.x, add, twin, sums, out.weight, out.bias, g, x, mean, rstd, w);
  if (add) out.x.storage()->bump_version();
  if (sums.defined()) autograd::set_row_sums(twin, sums);
  if (twin.defined()) autocast::set_twin(out.x, twin);
  return out;
}

Tensor row_norm(const char* op, const char* node, const Tensor& x, Ints shape, const Tensor& weight, const Tensor& bias,
                double eps, bool center) {
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), op, ": not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  check_shape(op, x, shape, weight, bias);
  const int64_t n = numel_of(shape), rows = n ? x.numel() / n : 0;
  const DType type = stats_dtype(x);
  Tensor out = new_tensor(x.sizes(), x.dtype(), x.device());
  Tensor mean = center ? new_tensor({rows}, type, x.device()) : Tensor();
  Tensor rstd = new_tensor({rows}, type, x.device());
  // Under autocasting the result mostly goes into a product, which wants it narrower: both are written at once.
  Tensor twin;
  if (const auto lower = autocast::lower_dtype(x)) twin = new_tensor(x.sizes(), *lower, x.device());
  if (rows)
    kernels::layer_norm(x.device(), rows, n, out, twin, mean, rstd, x.detach().contiguous(), as_stats(weight, x),
                        as_stats(bias, x), eps);
  if (twin.defined()) autocast::set_twin(out, twin);
  if (recording(x, weight, bias)) {
    record(node, {x, weight, bias}, {out},
           [rows, n, eps, center, mean, rstd, x = save(x), weight = save(weight),
            shape = Shape(shape)](Backward& ctx) {
             const Tensor input = ctx.get(x), w = weight.defined() ? ctx.get(weight) : Tensor();
             NormGradients d;
             if (autograd::grad_enabled() || rows == 0)
               d = norm_gradients(ctx.grad(), input, w, {rows, n}, {1, n}, {1}, eps, center);
             else
               d = fused_gradients(ctx.grad(), input, mean, rstd, w, rows, n, ctx);
             if (ctx.needs(0)) ctx.set(0, d.x);
             if (ctx.needs(1)) ctx.set(1, in_shape(d.weight, shape));
             if (ctx.needs(2)) ctx.set(2, in_shape(d.bias, shape));
           });
    out.impl()->grad_fn->outputs[0].takes_narrow = x.is_cuda();
  }
  return out;
}

double epsilon_of(DType t) {
  switch (t) {
    case DType::Float64: return std::numeric_limits<double>::epsilon();
    case DType::Float16: return 0.0009765625;
    case DType::BFloat16: return 0.0078125;
    default: return std::numeric_limits<float>::epsilon();
  }
}

}  // namespace

Tensor layer_norm(const Tensor& x, Ints normalized_shape, const Tensor& weight, const Tensor& bias, double eps) {
  NORCH_AUTOCAST(float32_cuda, layer_norm, x, normalized_shape, weight, bias, eps);
  return row_norm("layer_norm", "NativeLayerNormBackward0", x, normalized_shape, weight, bias, eps, true);
}

Tensor rms_norm(const Tensor& x, Ints normalized_shape, const Tensor& weight, std::optional<double> eps) {
  NORCH_AUTOCAST(float32_cuda, rms_norm, x, normalized_shape, weight, eps);
  const double least = eps ? *eps : epsilon_of(to_real(x.dtype()));
  if (!x.is_complex()) return row_norm("rms_norm", "FusedRmsNormBackward0", x, normalized_shape, weight, {}, least, false);
  check_shape("rms_norm", x, normalized_shape, weight, {});
  Shape dims;
  for (size_t i = 1; i <= normalized_shape.size(); ++i) dims.push_back(-static_cast<int64_t>(i));
  const Tensor y = x * rsqrt(mean(x * x, dims, true) + least);
  return weight.defined() ? y * weight : y;
}

Tensor normalize(const Tensor& input, double p, Ints dims, double eps) {
  const auto length_of = [=, dims = Shape(dims)](const Tensor& x) { return vector_norm(x, p, dims, true); };
  const auto at_least = [eps](const Tensor& length) { return clamp_min(length, Tensor::wrap(eps)); };
  // In one pass over rows, of a dtype that autocasting leaves alone. The kernel multiplies by up to 1 / eps.
  const bool rows = input.defined() && p == 2 && dims.size() == 1 && input.dim() > 0 &&
                    (dims[0] == -1 || dims[0] == input.dim() - 1) && input.numel() > 0 && eps >= 1e-30 &&
                    (input.dtype() == DType::Float32 || input.dtype() == DType::Float64);
  if (!rows) return input / at_least(length_of(input));
  const int64_t n = input.size(-1);
  const Tensor out = new_tensor(input.sizes(), input.dtype(), input.device());
  kernels::normalize_rows(input.device(), input.numel() / n, n, out, input.detach().contiguous(), eps);
  if (recording(input)) {
    record("DivBackward0", {input}, {out}, [x = save(input), length_of, at_least, eps](Backward& ctx) {
      const Tensor v = ctx.get(x), g = ctx.grad(), length = length_of(v), floored = at_least(length), y = v / floored;
      // A length below eps takes no part in the result.
      const Tensor along = sum(g * y, {-1}, true) * ge(length, Tensor::wrap(eps)).to(v.dtype());
      ctx.set(0, (g - y * along) / floored);
    });
  }
  return out;
}

}  // namespace norch
