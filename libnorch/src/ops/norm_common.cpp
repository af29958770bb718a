#include "ops/norm_common.h"

namespace norch {

NormGradients norm_gradients(const Tensor& g, const Tensor& x, const Tensor& weight, Ints view, Ints affine, Ints dims,
                             double eps, bool center, const Tensor& fixed_mean, const Tensor& fixed_rstd) {
  const DType type = stats_dtype(x);
  const Tensor xs = reshape(x, view).to(type), gs = reshape(g, view).to(type);
  const bool own = !fixed_rstd.defined();
  Tensor centered = xs, rstd = fixed_rstd;
  if (center) centered = sub(xs, own ? mean(xs, dims, true) : fixed_mean);
  if (own) rstd = rsqrt(mean(mul(centered, centered), dims, true) + Scalar(eps));
  const Tensor normal = mul(centered, rstd);
  const Tensor weighted = weight.defined() ? mul(gs, reshape(weight, affine).to(type)) : gs;
  Tensor dx = weighted;
  if (own) {
    if (center) dx = sub(dx, mean(weighted, dims, true));
    dx = sub(dx, mul(normal, mean(mul(weighted, normal), dims, true)));
  }
  return {reshape(mul(dx, rstd), x.sizes()), sum_to_size(mul(gs, normal), affine), sum_to_size(gs, affine)};
}

void check_channels(const char* op, const char* what, const Tensor& w, const Tensor& x, int64_t channels) {
  if (!w.defined()) return;
  NORCH_CHECK(w.dim() == 1 && w.numel() == channels, op, ": ", what, " should contain ", channels,
              " elements (one per channel), got shape ", w.sizes());
  NORCH_CHECK(w.device() == x.device(), op, ": Expected all tensors to be on the same device, but found at least two "
              "devices, ", x.device(), " and ", w.device(), " (", what, ")");
}

}  // namespace norch
