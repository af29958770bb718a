#include "norch/ops/random.h"

#include <cmath>
#include <limits>
#include <utility>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/cpu/twister.h"
#include "kernels/random.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/scan.h"
#include "norch/ops/sort.h"
#include "norch/ops/view.h"

namespace norch {

using kernels::Distribution;
using kernels::cpu::twister;

namespace {

PhiloxState draw(Generator* generator) { return (generator ? *generator : default_generator()).next(); }

Tensor finish(const Tensor& t, bool requires_grad) {
  if (requires_grad) t.requires_grad_();
  return t;
}

void check_float(const char* op, DType t) {
  NORCH_CHECK_IMPLEMENTED(is_floating_point(t), op, ": not implemented for ", t, "; use a floating-point dtype");
}

/// Fills `out` with what is drawn: from the twister, if that makes the numbers, by twist(out, generator), otherwise by
/// fill(out, state) for a contiguous `out`.
template <class Twist, class Fill>
void draw_into(const Tensor& out, Generator* generator, const Twist& twist, const Fill& fill) {
  if (Generator* g = twister(generator, out.device())) {
    twist(out, *g);
  } else if (out.is_contiguous()) {
    fill(out, draw(generator));
  } else {
    Tensor packed = new_tensor(out.sizes(), out.dtype(), out.device());
    fill(packed, draw(generator));
    copy_into(out, packed);
  }
}

/// The same as an op that overwrites self.
template <class Twist, class Fill>
Tensor fill_in_place(const char* op, const char* node, const Tensor& self, Generator* generator, const Twist& twist,
                     const Fill& fill) {
  autograd::InPlace write(op, self);
  Tensor out = write.output();
  draw_into(out, generator, twist, fill);
  if (autograd::recording(write.input()))
    autograd::record(node, {write.input()}, {out}, [](autograd::Backward&) {});
  return write.finish(out);
}

void twist(Distribution d, const Tensor& out, Generator& g, double a, double b) {
  switch (d) {
    case Distribution::Uniform: return kernels::cpu::twister_uniform(out, g, a, b);
    case Distribution::Normal: return kernels::cpu::twister_normal(out, g, a, b);
    case Distribution::LogNormal: return kernels::cpu::twister_log_normal(out, g, a, b);
    case Distribution::Exponential: return kernels::cpu::twister_exponential(out, g, a);
    case Distribution::Cauchy: return kernels::cpu::twister_cauchy(out, g, a, b);
  }
}

Tensor distribution_(const char* op, const char* node, const Tensor& self, Distribution d, double a, double b,
                     Generator* generator) {
  check_float(op, self.dtype());
  return fill_in_place(
      op, node, self, generator, [&](const Tensor& out, Generator& g) { twist(d, out, g, a, b); },
      [&](const Tensor& out, PhiloxState state) { kernels::random_fill(out.device(), d, out, state, a, b); });
}

/// Fills the new tensor `t` with standard numbers.
Tensor standard(const char* op, Distribution d, const Tensor& t, bool requires_grad, Generator* generator) {
  check_float(op, is_complex(t.dtype()) ? to_real(t.dtype()) : t.dtype());
  // Each part of a complex number by itself; normal ones have a variance of 1/2 each, so that |z|^2 is 1 on average.
  const double scale = is_complex(t.dtype()) && d == Distribution::Normal ? 1 / std::sqrt(2.0) : 1;
  draw_into(
      is_complex(t.dtype()) ? view_as_real(t) : t, generator,
      [&](const Tensor& out, Generator& g) { twist(d, out, g, 0, scale); },
      [&](const Tensor& out, PhiloxState state) { kernels::random_fill(out.device(), d, out, state, 0, scale); });
  return finish(t, requires_grad);
}

/// The largest integer up to which a dtype holds all integers.
int64_t largest_exact(DType t) {
  switch (t) {
    case DType::Bool: return 1;
    case DType::UInt8: return 255;
    case DType::Int8: return 127;
    case DType::Int16: return 32767;
    case DType::Int32: return std::numeric_limits<int32_t>::max();
    case DType::Int64: return std::numeric_limits<int64_t>::max();
    case DType::Float16: return int64_t{1} << 11;
    case DType::BFloat16: return int64_t{1} << 8;
    case DType::Float32: return int64_t{1} << 24;
    default: return int64_t{1} << 53;
  }
}

/// Raises unless `t` has the integer `value` within its range (floats round).
void check_fits(const char* op, const char* what, int64_t value, DType t) {
  bool fits = true;
  if (t == DType::Float16) fits = value >= -65504 && value <= 65504;
  if (!is_floating_point(t)) {
    const int64_t top = largest_exact(t);
    fits = value <= top && value >= (is_signed(t) ? -top - 1 : 0);
  }
  NORCH_CHECK(fits, op, ": ", what, " is out of bounds for ", t, ": ", value);
}

void check_range(const char* op, int64_t low, int64_t high, DType t) {
  NORCH_CHECK(low < high, op, " expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  check_fits(op, "from", low, t);
  check_fits(op, "to - 1", high - 1, t);
}

uint64_t span(int64_t low, int64_t high) { return static_cast<uint64_t>(high) - static_cast<uint64_t>(low); }

void check_probability(const char* op, double p) {
  NORCH_CHECK(p >= 0 && p <= 1, op, " expects p to be in [0, 1], but got p=", p);
}

/// Fills the new tensor `t` with integers.
Tensor integers(int64_t low, int64_t high, const Tensor& t, bool requires_grad, Generator* generator) {
  check_range("random_", low, high, t.dtype());
  draw_into(
      t, generator,
      [&](const Tensor& out, Generator& g) { kernels::cpu::twister_integers(out, g, low, span(low, high)); },
      [&](const Tensor& out, PhiloxState state) {
        kernels::random_integers(out.device(), out, state, low, span(low, high));
      });
  return finish(t, requires_grad);
}

Tensor as_float(const Tensor& t) { return t.is_floating_point() ? t : t.to(default_dtype()); }

}  // namespace

Tensor rand(Ints sizes, const TensorOptions& options, Generator* generator) {
  return standard("rand", Distribution::Uniform, new_named("rand", sizes, options.dtype(), options.device().resolve()),
                  options.requires_grad(), generator);
}

Tensor randn(Ints sizes, const TensorOptions& options, Generator* generator) {
  return standard("randn", Distribution::Normal, new_named("randn", sizes, options.dtype(), options.device().resolve()),
                  options.requires_grad(), generator);
}

Tensor randint(int64_t low, int64_t high, Ints sizes, const TensorOptions& options, Generator* generator) {
  const DType type = options.has_dtype() ? options.dtype() : kInt64;
  return integers(low, high, new_named("randint", sizes, type, options.device().resolve()), options.requires_grad(),
                  generator);
}

Tensor rand_like(const Tensor& like, const TensorOptions& options, MemoryFormat format, Generator* generator) {
  return standard("rand_like", Distribution::Uniform, empty_like(like, options.requires_grad(false), format),
                  options.requires_grad(), generator);
}

Tensor randn_like(const Tensor& like, const TensorOptions& options, MemoryFormat format, Generator* generator) {
  return standard("randn_like", Distribution::Normal, empty_like(like, options.requires_grad(false), format),
                  options.requires_grad(), generator);
}

Tensor randint_like(const Tensor& like, int64_t low, int64_t high, const TensorOptions& options, MemoryFormat format,
                    Generator* generator) {
  return integers(low, high, empty_like(like, options.requires_grad(false), format), options.requires_grad(), generator);
}

Tensor randperm(int64_t n, const TensorOptions& options, Generator* generator) {
  NORCH_CHECK(n >= 0, "randperm: n must be non-negative, got ", n);
  const DType type = options.has_dtype() ? options.dtype() : kInt64;
  NORCH_CHECK(type != kBool && (n == 0 || n - 1 <= largest_exact(type)), "randperm: n = ", n,
              " is too large for the result dtype ", type);
  // Fisher and Yates on the host: the order of the swaps is part of the result, on every device.
  Tensor order = new_tensor({n}, kInt64, kCPU);
  if (Generator* g = twister(generator, options.device())) {
    kernels::cpu::twister_permutation(order, *g);
    return finish(order.to(options.device(), type), options.requires_grad());
  }
  int64_t* x = order.data<int64_t>();
  for (int64_t i = 0; i < n; ++i) x[i] = i;
  const PhiloxState state = draw(generator);
  for (int64_t i = n - 1; i > 0; --i) {
    const kernels::Words w = kernels::philox(state.seed, state.draw, static_cast<uint64_t>(i / 2));
    const uint64_t r = i % 2 ? kernels::join(w.w[2], w.w[3]) : kernels::join(w.w[0], w.w[1]);
    std::swap(x[i], x[kernels::below(r, static_cast<uint64_t>(i) + 1)]);
  }
  return finish(order.to(options.device(), type), options.requires_grad());
}

Tensor uniform_(const Tensor& self, double from, double to, Generator* generator) {
  NORCH_CHECK(from <= to, "uniform_ expects to return a [from, to) range, but found from=", from, " > to=", to);
  NORCH_CHECK(std::isfinite(to - from), "uniform_ expects a finite range, but found to - from = ", to - from);
  if (self.is_complex()) return uniform_(view_as_real(self), from, to, generator), self;
  return distribution_("uniform_", "UniformBackward0", self, Distribution::Uniform, from, to, generator);
}

Tensor normal_(const Tensor& self, double mean, double std, Generator* generator) {
  NORCH_CHECK(std >= 0, "normal expects std >= 0.0, but found std ", std);
  if (self.is_complex()) {  // half of the variance in each part
    normal_(view_as_real(self), 0, std * std::sqrt(0.5), generator);
    return mean == 0 ? self : add_(self, Tensor::wrap(mean));
  }
  return distribution_("normal_", "NormalBackward0", self, Distribution::Normal, mean, std, generator);
}

Tensor log_normal_(const Tensor& self, double mean, double std, Generator* generator) {
  NORCH_CHECK(std > 0, "log_normal_ expects std > 0.0, but found std=", std);
  return distribution_("log_normal_", "LogNormalBackward0", self, Distribution::LogNormal, mean, std, generator);
}

Tensor exponential_(const Tensor& self, double lambd, Generator* generator) {
  NORCH_CHECK(lambd > 0, "exponential_ expects lambda > 0.0, but found lambda=", lambd);
  return distribution_("exponential_", "ExponentialBackward0", self, Distribution::Exponential, lambd, 0, generator);
}

Tensor cauchy_(const Tensor& self, double median, double sigma, Generator* generator) {
  NORCH_CHECK(sigma > 0, "cauchy_ expects sigma > 0.0, but found sigma=", sigma);
  return distribution_("cauchy_", "CauchyBackward0", self, Distribution::Cauchy, median, sigma, generator);
}

Tensor geometric_(const Tensor& self, double p, Generator* generator) {
  NORCH_CHECK(p > 0 && p < 1, "geometric_ expects p to be in (0, 1), but got p=", p);
  NORCH_CHECK_IMPLEMENTED(self.dtype() != kBool, "geometric_: not implemented for bool");
  return fill_in_place(
      "geometric_", "GeometricBackward0", self, generator,
      [&](const Tensor& out, Generator& g) { kernels::cpu::twister_geometric(out, g, p); },
      [&](const Tensor& out, PhiloxState state) { kernels::random_geometric(out.device(), out, state, p); });
}

Tensor random_(const Tensor& self, int64_t from, std::optional<int64_t> to, Generator* generator) {
  uint64_t range;
  if (to) {
    check_range("random_", from, *to, self.dtype());
    range = span(from, *to);
  } else {
    const int64_t top = largest_exact(self.dtype());
    check_fits("random_", "from", from, self.dtype());
    NORCH_CHECK(from <= top, "random_: from=", from, " is beyond the largest integer that ", self.dtype(), " holds, ",
                top);
    range = span(from, top) + 1;
  }
  return fill_in_place(
      "random_", "RandomBackward0", self, generator,
      [&](const Tensor& out, Generator& g) {
        if (from == 0 && !to)
          kernels::cpu::twister_any_integers(out, g);
        else
          kernels::cpu::twister_integers(out, g, from, range);
      },
      [&](const Tensor& out, PhiloxState state) { kernels::random_integers(out.device(), out, state, from, range); });
}

Tensor bernoulli_(const Tensor& self, double p, Generator* generator) {
  check_probability("bernoulli_", p);
  return fill_in_place(
      "bernoulli_", "BernoulliBackward0", self, generator,
      [&](const Tensor& out, Generator& g) { kernels::cpu::twister_bernoulli(out, g, p); },
      [&](const Tensor& out, PhiloxState state) { kernels::random_bernoulli(out.device(), out, state, p); });
}

Tensor bernoulli_(const Tensor& self, const Tensor& p, Generator* generator) {
  NORCH_CHECK(p.device() == self.device(), "bernoulli_: Expected all tensors to be on the same device, but found at "
              "least two devices, ", self.device(), " and ", p.device());
  autograd::NoGrad off;
  const Tensor probabilities = expand(as_float(p.detach()), self.sizes());
  return fill_in_place(
      "bernoulli_", "BernoulliBackward0", self, generator,
      [&](const Tensor& out, Generator& g) { kernels::cpu::twister_bernoulli_each(out, g, probabilities); },
      [&](const Tensor& out, PhiloxState state) {
        kernels::random_bernoulli_each(out.device(), out, state, probabilities.contiguous());
      });
}

Tensor bernoulli(const Tensor& p, Generator* generator) {
  check_float("bernoulli", p.dtype());
  if (p.is_cpu() && p.numel() > 0) {  // on the GPU nothing waits for the values
    const autograd::NoGrad off;
    NORCH_CHECK(amin(p).item<double>() >= 0 && amax(p).item<double>() <= 1,
                "bernoulli expects probabilities of at least 0 and at most 1, but found others");
  }
  Tensor out = new_tensor(p.sizes(), p.dtype(), p.device());
  if (Generator* g = twister(generator, p.device()))
    kernels::cpu::twister_bernoulli_each(out, *g, p.detach());
  else
    kernels::random_bernoulli_each(p.device(), out, draw(generator), p.detach().contiguous());
  // The draw does not depend smoothly on p: its gradient is zero.
  if (autograd::recording(p)) autograd::record("BernoulliBackward0", {p}, {out}, [](autograd::Backward&) {});
  return out;
}

namespace {

Tensor draw_normal(const Tensor& mean, const Tensor& std, Generator* generator) {
  autograd::NoGrad off;
  const Tensor m = as_float(mean), s = as_float(std);
  if (s.is_cpu() && s.numel() > 0 && !s.is_complex())
    NORCH_CHECK(!(amin(s).item<double>() < 0), "normal expects all elements of std >= 0.0");
  const Device device = m.dim() == 0 && !s.is_cpu() ? s.device() : m.device();
  // A number takes the dtype of the tensor beside it; of two tensors, the mean has the dtype of the result.
  const DType type = mean.is_wrapped_number() ? s.dtype() : m.dtype();
  Tensor z = empty(broadcast_shapes(m.sizes(), s.sizes(), "normal"), TensorOptions(type).device(device));
  // A standard deviation that is a number is applied before rounding.
  if (std.is_wrapped_number()) return normal_(z, 0, s.item<double>(), generator) + m;
  return (normal_(z, 0, 1, generator) * s + m).to(type);
}

}  // namespace

Tensor normal(const Tensor& mean, const Tensor& std, Generator* generator) {
  Tensor out = draw_normal(mean, std, generator);
  // A draw has a gradient of zero.
  if (autograd::recording(mean, std)) {
    autograd::record("NormalBackward0", {mean, std}, {out}, [](autograd::Backward& ctx) {
      for (size_t i = 0; i < 2; ++i)
        if (ctx.needs(i)) ctx.set(i, zeros_like(ctx.grad()));
    });
  }
  return out;
}

Tensor poisson(const Tensor& rates, Generator* generator) {
  check_float("poisson", rates.dtype());
  const Tensor r = rates.detach().contiguous();
  Tensor out = new_tensor(r.sizes(), r.dtype(), r.device());
  if (Generator* g = twister(generator, r.device()))
    kernels::cpu::twister_poisson(out, *g, r);
  else
    kernels::random_poisson(r.device(), out, r, draw(generator));
  if (autograd::recording(rates)) autograd::record("PoissonBackward0", {rates}, {out}, [](autograd::Backward&) {});
  return out;
}

Tensor multinomial(const Tensor& probabilities, int64_t num_samples, bool replacement, Generator* generator) {
  NORCH_CHECK(probabilities.dim() == 1 || probabilities.dim() == 2,
              "multinomial: prob_dist must be 1 or 2 dim, got shape ", probabilities.sizes());
  NORCH_CHECK(probabilities.is_floating_point(), "multinomial only supports floating-point dtypes for input, got: ",
              probabilities.dtype());
  NORCH_CHECK(num_samples > 0, "multinomial: cannot sample n_sample <= 0 samples, got ", num_samples);
  const int64_t classes = probabilities.sizes().back();
  NORCH_CHECK(classes > 0, "multinomial: there are no categories to sample from");
  NORCH_CHECK(replacement || num_samples <= classes,
              "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement, got ", num_samples,
              " of ", classes);
  autograd::NoGrad off;
  const Tensor given = reshape(probabilities.detach(), {-1, classes}).contiguous(), rows = given.to(kFloat64);
  const int64_t n = rows.sizes()[0];
  const Tensor zero = Tensor::wrap(0.0);
  NORCH_CHECK(all(logical_and(ge(rows, zero), le(rows, Tensor::wrap(1e300)))).item<bool>(),
              "multinomial: probability tensor contains either `inf`, `nan` or element < 0");
  if (replacement || num_samples == 1) {
    NORCH_CHECK(n == 0 || amin(sum(rows, {1})).item<double>() > 0,
                "multinomial: invalid multinomial distribution (sum of probabilities <= 0)");
  } else {
    NORCH_CHECK(n == 0 || amin(sum(gt(rows, zero), {1})).item<int64_t>() >= num_samples,
                "multinomial: invalid multinomial distribution: fewer categories of non-zero probability than ",
                num_samples, " samples without replacement");
  }
  Tensor out;
  if (Generator* g = twister(generator, rows.device())) {
    if (replacement && num_samples > 1) {
      out = new_tensor({n, num_samples}, kInt64, rows.device());
      kernels::cpu::twister_categories(out, *g, given);
    } else {
      // The order statistics of exponential arrivals whose rates are the weights are draws without replacement.
      Tensor arrivals = new_tensor(given.sizes(), given.dtype(), given.device());
      kernels::cpu::twister_exponential(arrivals, *g, 1);
      out = num_samples == 1 ? argmax(given / arrivals, 1, true) : topk(given / arrivals, num_samples, 1).indices;
    }
  } else if (replacement) {
    out = new_tensor({n, num_samples}, kInt64, rows.device());
    kernels::random_categories(rows.device(), out, cumsum(rows, 1).contiguous(), draw(generator));
  } else {
    Tensor arrivals = new_tensor(rows.sizes(), kFloat64, rows.device());
    kernels::random_fill(rows.device(), Distribution::Exponential, arrivals, draw(generator), 1, 0);
    out = topk(rows / arrivals, num_samples, 1).indices;
  }
  return probabilities.dim() == 1 ? reshape(out, {num_samples}) : out;
}

}  // namespace norch
