#include "norch/ops/statistics.h"

#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

namespace {

Tensor number(const Scalar& v) { return Tensor::wrap(v); }

void check_weights(const char* name, const Tensor& w, int64_t samples) {
  NORCH_CHECK(w.dim() <= 1, "cov(): expected ", name, " to have one or fewer dimensions but got ", name, " with ", w.dim(),
              " dimensions");
  NORCH_CHECK(w.numel() == samples, "cov(): expected ", name, " to have the same numel as there are observations in the "
              "input but got ", w.numel(), " != ", samples);
  NORCH_CHECK(samples == 0 || ge(min(w), number(0)).item<bool>(), "cov(): ", name, " cannot be negative");
}

}  // namespace

Tensor cov(const Tensor& x, int64_t correction, const Tensor& fweights, const Tensor& aweights) {
  NORCH_CHECK(x.dim() <= 2, "cov(): expected input to have two or fewer dimensions but got an input with ", x.dim(),
              " dimensions");
  NORCH_CHECK(x.dtype() != DType::Bool, "cov(): bool dtype is not supported for input");
  const Tensor in = x.dim() < 2 ? reshape(x, {1, -1}) : x;
  const int64_t samples = in.size(1);
  Tensor w;
  if (fweights.defined()) {
    NORCH_CHECK(is_integral(fweights.dtype()), "cov(): expected fweights to have integral dtype but got fweights with ",
                fweights.dtype());
    check_weights("fweights", fweights, samples);
    w = fweights;
  }
  if (aweights.defined()) {
    NORCH_CHECK(aweights.is_floating_point(), "cov(): expected aweights to have floating point dtype but got aweights "
                "with ", aweights.dtype());
    check_weights("aweights", aweights, samples);
    w = w.defined() ? mul(w, aweights) : aweights;
  }
  const Tensor total = w.defined() ? sum(w) : number(samples);
  const Tensor mean = div(sum(w.defined() ? mul(in, w) : in, {1}), total);
  const Tensor lost = aweights.defined() ? div(sum(mul(w, aweights)) * Scalar(correction), total) : number(correction);
  // As in PyTorch a divisor below zero counts as zero.
  const Tensor divisor = clamp_min(sub(total, lost), number(0));
  const Tensor centered = sub(in, unsqueeze(mean, 1));
  const Tensor weighted = w.defined() ? mul(centered, w) : centered;
  return squeeze(div(mm(centered, conj(transpose(weighted, 0, 1)).to(centered.dtype())), divisor));
}

Tensor corrcoef(const Tensor& x) {
  NORCH_CHECK(x.dim() <= 2, "corrcoef(): expected input to have two or fewer dimensions but got an input with ", x.dim(),
              " dimensions");
  const Tensor c = cov(x);
  if (c.dim() == 0) return div(c, c);
  const Tensor deviation = sqrt(diag(c));
  const Tensor r = div(div(c, unsqueeze(deviation, 1)), unsqueeze(deviation, 0));
  auto limited = [](const Tensor& t) { return clamp(t, number(-1), number(1)); };
  return r.is_complex() ? complex(limited(real(r)), limited(imag(r))) : limited(r);
}

Tensor renorm(const Tensor& x, const Scalar& p, int64_t dim, const Scalar& maxnorm) {
  NORCH_AUTOCAST(float32_cuda, renorm, x, p, dim, maxnorm);
  NORCH_CHECK(p.to_double() > 0, "renorm: non-positive-norm not supported, got p = ", p);
  NORCH_CHECK(maxnorm.to_double() >= 0, "renorm: expected maxnorm to be >= 0 but got ", maxnorm);
  NORCH_CHECK(x.dim() > 1, "renorm: input needs at least 2 dimensions, got ", x.dim(), " dimensions");
  dim = wrap_dim(dim, x.dim(), "renorm");
  Shape others;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != dim) others.push_back(d);
  const DType wide = x.is_floating_point() && x.itemsize() < 4 ? DType::Float32 : x.dtype();
  const Tensor norm = vector_norm(x, p, others, true, wide);
  const Tensor above = gt(norm.detach(), number(maxnorm));
  const Tensor factor = where(above, div(number(maxnorm), norm + 1e-7), number(1.0));
  return mul(x, factor.to(x.dtype()));
}

}  // namespace norch
