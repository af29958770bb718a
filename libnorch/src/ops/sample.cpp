#include "norch/ops/sample.h"

#include "kernels/sample.h"

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/cpu/twister.h"
#include "norch/ops/binary.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/view.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::cpu::twister;

namespace {

void check_float(const char* op, const Tensor& t) {
  NORCH_CHECK_IMPLEMENTED(t.is_floating_point(), op, ": not implemented for ", t.dtype(), "; use a floating-point dtype");
}

PhiloxState draw(Generator* generator) { return (generator ? *generator : default_generator()).next(); }

/// What the kernels read: contiguous float64 of the given shape.
Tensor as_double(const Tensor& t, Ints sizes) { return expand(t.detach().to(kFloat64), sizes).contiguous(); }

/// `single`: by the arithmetic of float32 where PyTorch's numbers are drawn.
Tensor gamma_numbers(const Tensor& shape, bool single, Generator* generator) {
  const Tensor shapes = as_double(shape, shape.sizes());
  Tensor out = new_tensor(shape.sizes(), kFloat64, shape.device());
  if (Generator* g = twister(generator, shape.device()))
    kernels::cpu::twister_gamma(out, *g, shapes, single);
  else
    kernels::random_gamma(shape.device(), out, shapes, draw(generator));
  return out;
}

/// The smallest normal number, and the largest below 1.
double tiny(DType t) { return t == DType::Float64 ? 0x1p-1022 : t == DType::Float16 ? 0x1p-14 : 0x1p-126; }
double below_one(DType t) {
  switch (t) {
    case DType::Float64: return 1 - 0x1p-53;
    case DType::Float32: return 1 - 0x1p-24;
    case DType::Float16: return 1 - 0x1p-11;
    default: return 1 - 0x1p-8;
  }
}

[[noreturn]] void no_second_derivative(const char* op) {
  NORCH_RAISE(NotImplementedError, "the derivative for '", op, "' is not implemented.");
}

}  // namespace

Tensor standard_gamma(const Tensor& shape, Generator* generator) {
  check_float("_standard_gamma", shape);
  const Tensor out = [&] {
    autograd::NoGrad off;
    return clamp_min(gamma_numbers(shape, shape.dtype() == kFloat32, generator).to(shape.dtype()), Tensor::wrap(tiny(shape.dtype())));
  }();
  if (recording(shape))
    record("StandardGammaBackward0", {shape}, {out}, [shape = save(shape), out = save_output(out)](Backward& ctx) {
      ctx.set(0, ctx.grad() * standard_gamma_grad(ctx.get(shape), ctx.get(out)));
    });
  return out;
}

Tensor standard_gamma_grad(const Tensor& shape, const Tensor& x) {
  check_float("_standard_gamma_grad", shape);
  check_float("_standard_gamma_grad", x);
  const Shape sizes = broadcast_shapes(shape.sizes(), x.sizes(), "_standard_gamma_grad");
  Tensor out = new_tensor(sizes, kFloat64, x.device());
  kernels::gamma_slope(x.device(), out, as_double(shape, sizes), as_double(x, sizes));
  out = out.to(promote_types(shape.dtype(), x.dtype()));
  if (recording(shape, x))
    record("StandardGammaGradBackward0", {shape, x}, {out},
           [](Backward&) { no_second_derivative("_standard_gamma_grad"); });
  return out;
}

Tensor sample_dirichlet(const Tensor& concentration, Generator* generator) {
  check_float("_sample_dirichlet", concentration);
  NORCH_CHECK(concentration.dim() > 0, "_sample_dirichlet: concentration has to have a dim, got a 0-d tensor");
  const DType type = concentration.dtype();
  const Tensor out = [&] {
    autograd::NoGrad off;
    const Tensor g = clamp_min(gamma_numbers(concentration, false, generator), Tensor::wrap(tiny(kFloat64)));
    return clamp((g / sum(g, {-1}, true)).to(type), Tensor::wrap(tiny(type)), Tensor::wrap(below_one(type)));
  }();
  if (recording(concentration))
    record("SampleDirichletBackward0", {concentration}, {out},
           [concentration = save(concentration), out = save_output(out)](Backward& ctx) {
             const Tensor& x = ctx.get(out);
             const Tensor& a = ctx.get(concentration);
             const Tensor slope = dirichlet_grad(x, a, expand(sum(a, {-1}, true), a.sizes()));
             ctx.set(0, slope * (ctx.grad() - sum(x * ctx.grad(), {-1}, true)));
           });
  return out;
}

Tensor dirichlet_grad(const Tensor& x, const Tensor& a, const Tensor& total) {
  for (const Tensor* t : {&x, &a, &total}) check_float("_dirichlet_grad", *t);
  const Shape sizes = broadcast_shapes(broadcast_shapes(x.sizes(), a.sizes(), "_dirichlet_grad"), total.sizes(),
                                       "_dirichlet_grad");
  Tensor out = new_tensor(sizes, kFloat64, x.device());
  kernels::beta_slope(x.device(), out, as_double(x, sizes), as_double(a, sizes), as_double(total, sizes));
  out = out.to(x.dtype());
  if (recording(x, a, total))
    record("DirichletGradBackward0", {x, a, total}, {out}, [](Backward&) { no_second_derivative("_dirichlet_grad"); });
  return out;
}

Tensor binomial(const Tensor& count, const Tensor& p, Generator* generator) {
  check_float("binomial", count);
  NORCH_CHECK_TYPE(count.dtype() == p.dtype(), "binomial only supports floating-point dtypes for count and prob that are "
                   "the same, got: ", count.dtype(), " and ", p.dtype());
  NORCH_CHECK(count.device() == p.device(), "binomial: Expected all tensors to be on the same device, but found at least "
              "two devices, ", count.device(), " and ", p.device());
  const Shape sizes = broadcast_shapes(count.sizes(), p.sizes(), "binomial");
  const Tensor counts = as_double(count, sizes), ps = as_double(p, sizes);
  Tensor out = new_tensor(sizes, kFloat64, p.device());
  if (Generator* g = twister(generator, p.device()))
    kernels::cpu::twister_binomial(out, *g, counts, ps);
  else
    kernels::random_binomial(p.device(), out, counts, ps, draw(generator));
  out = out.to(count.dtype());
  if (recording(count, p)) record("BinomialBackward0", {count, p}, {out}, [](Backward&) {});
  return out;
}

}  // namespace norch
