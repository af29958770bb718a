// Elementwise ops of one tensor, and activation functions.
#include "bind.h"
#include "norch/ops.h"
#include "truth.h"

namespace norch::python {

namespace {

using Unary = Tensor (*)(const Tensor&);

struct UnaryRow {
  const char* name;
  Unary f;
  Unary in_place;  // null where PyTorch has none
  const char* doc;
};

// The last two are an example: the elements of a tensor, and what is printed.
#define EXAMPLE(name, elements, printed) "\n\n>>> norch." #name "(norch.tensor(" elements "))\n" printed
#define ROW(name, doc, elements, printed)                                                                       \
  {#name, &norch::name, &norch::name##_,                                                                        \
   #name "(input, *, out=None) -> Tensor\n\n" doc " Same shape." EXAMPLE(name, elements, printed)}
const UnaryRow unary_rows[] = {
    ROW(abs, "|x|, element by element.", "[-1.5, 2.0]", "tensor([1.5000, 2.0000])"),
    ROW(acos, "Inverse cosine.", "[1.0, 0.0]", "tensor([0.0000, 1.5708])"),
    ROW(acosh, "Inverse hyperbolic cosine.", "[1.0, 2.0]", "tensor([0.0000, 1.3170])"),
    ROW(asin, "Inverse sine.", "[1.0, 0.0]", "tensor([1.5708, 0.0000])"),
    ROW(asinh, "Inverse hyperbolic sine.", "[0.0, 0.5]", "tensor([0.0000, 0.4812])"),
    ROW(atan, "Inverse tangent.", "[0.0, 0.5]", "tensor([0.0000, 0.4636])"),
    ROW(atanh, "Inverse hyperbolic tangent.", "[0.0, 0.5]", "tensor([0.0000, 0.5493])"),
    ROW(bitwise_not, "Every bit inverted; `not` for bool.", "[0, 5]", "tensor([-1, -6])"),
    ROW(ceil, "Up to the next integer.", "[-1.5, 1.5]", "tensor([-1.,  2.])"),
    ROW(cos, "Cosine.", "[0.0, 0.5]", "tensor([1.0000, 0.8776])"),
    ROW(cosh, "Hyperbolic cosine.", "[0.0, 0.5]", "tensor([1.0000, 1.1276])"),
    ROW(deg2rad, "Degrees to radians.", "[90.0, 180.0]", "tensor([1.5708, 3.1416])"),
    ROW(digamma, "Derivative of log gamma.", "[1.0, 2.0]", "tensor([-0.5772,  0.4228])"),
    ROW(erf, "Error function.", "[0.0, 0.5]", "tensor([0.0000, 0.5205])"),
    ROW(erfc, "1 - erf(x).", "[0.0, 0.5]", "tensor([1.0000, 0.4795])"),
    ROW(erfinv, "Inverse of erf; NaN outside [-1, 1].", "[0.0, 0.5]", "tensor([0.0000, 0.4769])"),
    ROW(exp, "e^x.", "[0.0, 0.5]", "tensor([1.0000, 1.6487])"),
    ROW(exp2, "2^x.", "[0.0, 0.5]", "tensor([1.0000, 1.4142])"),
    ROW(expm1, "e^x - 1, also right near 0.", "[0.0, 0.5]", "tensor([0.0000, 0.6487])"),
    ROW(floor, "Down to the next integer.", "[-1.5, 1.5]", "tensor([-2.,  1.])"),
    ROW(frac, "x - trunc(x).", "[-1.5, 1.25]", "tensor([-0.5000,  0.2500])"),
    ROW(lgamma, "log |gamma(x)|.", "[1.0, 3.0]", "tensor([0.0000, 0.6931])"),
    ROW(log, "Natural logarithm.", "[1.0, 2.0]", "tensor([0.0000, 0.6931])"),
    ROW(log10, "Logarithm to base 10.", "[1.0, 50.0]", "tensor([0.0000, 1.6990])"),
    ROW(log1p, "log(1 + x), also right near 0.", "[0.0, 0.5]", "tensor([0.0000, 0.4055])"),
    ROW(log2, "Logarithm to base 2.", "[1.0, 3.0]", "tensor([0.0000, 1.5850])"),
    ROW(logical_not, "x == 0.", "[0.0, 2.0]", "tensor([ True, False])"),
    ROW(neg, "-x.", "[-1.5, 2.0]", "tensor([ 1.5000, -2.0000])"),
    ROW(rad2deg, "Radians to degrees.", "[0.0, 3.1416]", "tensor([  0.0000, 180.0004])"),
    ROW(reciprocal, "1 / x.", "[2.0, 4.0]", "tensor([0.5000, 0.2500])"),
    ROW(rsqrt, "1 / sqrt(x).", "[1.0, 4.0]", "tensor([1.0000, 0.5000])"),
    ROW(sigmoid, "1 / (1 + exp(-x)).", "[0.0, 0.5]", "tensor([0.5000, 0.6225])"),
    ROW(sign, "-1, 0 or 1; 0 for NaN.", "[-1.5, 2.0]", "tensor([-1.,  1.])"),
    ROW(sin, "Sine.", "[0.0, 0.5]", "tensor([0.0000, 0.4794])"),
    ROW(sinc, "sin(pi x) / (pi x), 1 at 0.", "[0.0, 0.5]", "tensor([1.0000, 0.6366])"),
    ROW(sinh, "Hyperbolic sine.", "[0.0, 0.5]", "tensor([0.0000, 0.5211])"),
    ROW(sqrt, "Square root.", "[1.0, 4.0]", "tensor([1., 2.])"),
    ROW(square, "x * x.", "[-1.5, 2.0]", "tensor([2.2500, 4.0000])"),
    ROW(tan, "Tangent.", "[0.0, 0.5]", "tensor([0.0000, 0.5463])"),
    ROW(tanh, "Hyperbolic tangent.", "[0.0, 0.5]", "tensor([0.0000, 0.4621])"),
    ROW(trunc, "Towards zero to an integer.", "[-1.5, 1.5]", "tensor([-1.,  1.])"),
};
#undef ROW
#define TEST(name, doc, elements, printed) \
  {#name, &norch::name, nullptr, #name "(input) -> Tensor\n\n" doc " Same shape." EXAMPLE(name, elements, printed)}
const UnaryRow test_rows[] = {
    TEST(isnan, "Whether each element is NaN.", "[1.0, float('nan')]", "tensor([False,  True])"),
    TEST(isinf, "Whether each element is infinite.", "[1.0, float('inf')]", "tensor([False,  True])"),
    TEST(isfinite, "Whether each element is finite.", "[1.0, float('inf')]", "tensor([ True, False])"),
    TEST(isposinf, "Whether each element is +inf.", "[float('inf'), -float('inf')]", "tensor([ True, False])"),
    TEST(isneginf, "Whether each element is -inf.", "[float('inf'), -float('inf')]", "tensor([False,  True])"),
    TEST(signbit, "Whether each element's sign bit is set.", "[1.0, -2.0]", "tensor([False,  True])"),
    TEST(positive, "The tensor itself.", "[1.0, -2.0]", "tensor([ 1., -2.])"),
};
#undef TEST
#undef EXAMPLE

void bind_unary(Binder& b) {
  for (const UnaryRow& row : unary_rows) {
    b.op(row.name, row.f, row.doc, "input"_a);
    const std::string in_place = std::string(row.name) + "_";
    b.op(in_place.c_str(), row.in_place, "The same, written into the tensor.", "input"_a);
  }
  for (const UnaryRow& row : test_rows) b.op(row.name, row.f, row.doc, "input"_a);

  b.op("round", &norch::round, "round(input, *, decimals=0) -> Tensor\n\nTo the nearest multiple of 10^-decimals, halves "
       "to even.", "input"_a, nb::kw_only(), "decimals"_a = 0);
  b.op("round_", &norch::round_, "The same, written into the tensor.", "input"_a, nb::kw_only(), "decimals"_a = 0);
  b.op("logit", &norch::logit, "logit(input, eps=None) -> Tensor\n\nlog(x / (1 - x)), x clamped to [eps, 1 - eps].",
       "input"_a, "eps"_a = nb::none());
  b.op("logit_", &norch::logit_, "The same, written into the tensor.", "input"_a, "eps"_a = nb::none());
  b.op("nan_to_num", &norch::nan_to_num, "nan_to_num(input, nan=0.0, posinf=None, neginf=None) -> Tensor\n\nNaN and the "
       "infinities replaced.", "input"_a, "nan"_a = nb::none(), "posinf"_a = nb::none(), "neginf"_a = nb::none());
  b.op("nan_to_num_", &norch::nan_to_num_, "The same, written into the tensor.", "input"_a, "nan"_a = nb::none(),
       "posinf"_a = nb::none(), "neginf"_a = nb::none());
  b.function("polygamma", &norch::polygamma, "polygamma(n, input) -> Tensor\n\nThe n-th derivative of digamma.", "n"_a,
             "input"_a);
  b.method(
      "polygamma", [](const Tensor& t, int64_t n) { return norch::polygamma(n, t); },
      "polygamma(n) -> Tensor\n\nThe n-th derivative of digamma.", "n"_a);
  b.method("polygamma_", &norch::polygamma_, "polygamma_(n) -> Tensor", "n"_a);
}

void bind_activations(Binder& b) {
  const UnaryRow plain[] = {
      {"relu6", &norch::relu6, &norch::relu6_, "relu6(input, inplace=False) -> Tensor\n\nx limited to [0, 6]."},
      {"selu", &norch::selu, &norch::selu_, "selu(input, inplace=False) -> Tensor\n\nScaled exponential linear unit."},
      {"silu", &norch::silu, &norch::silu_, "silu(input, inplace=False) -> Tensor\n\nx * sigmoid(x)."},
      {"mish", &norch::mish, &norch::mish_, "mish(input, inplace=False) -> Tensor\n\nx * tanh(softplus(x))."},
      {"hardsigmoid", &norch::hardsigmoid, &norch::hardsigmoid_,
       "hardsigmoid(input, inplace=False) -> Tensor\n\n(x + 3) / 6 limited to [0, 1]."},
      {"hardswish", &norch::hardswish, &norch::hardswish_,
       "hardswish(input, inplace=False) -> Tensor\n\nx * hardsigmoid(x)."},
  };
  for (const UnaryRow& row : plain)
    b.functional(
        row.name,
        [f = row.f, g = row.in_place](const Tensor& x, Truth inplace) { return inplace ? g(x) : f(x); }, row.doc,
        "input"_a, "inplace"_a.none() = false);
  const UnaryRow functions[] = {
      {"logsigmoid", &norch::logsigmoid, nullptr, "logsigmoid(input) -> Tensor\n\nlog(sigmoid(x))."},
      {"softsign", &norch::softsign, nullptr, "softsign(input) -> Tensor\n\nx / (1 + |x|)."},
      {"tanhshrink", &norch::tanhshrink, nullptr, "tanhshrink(input) -> Tensor\n\nx - tanh(x)."},
      {"selu_", &norch::selu_, nullptr, "selu_(input) -> Tensor\n\nIn place."},
  };
  for (const UnaryRow& row : functions) b.functional(row.name, row.f, row.doc, "input"_a);

  b.op("relu", &norch::relu, "relu(input) -> Tensor\n\nmax(x, 0).", "input"_a);
  b.op("relu_", &norch::relu_, "relu_(input) -> Tensor\n\nmax(x, 0), in place.", "input"_a);
  b.function("selu", &norch::selu, "selu(input) -> Tensor", "input"_a);
  b.function("selu_", &norch::selu_, "selu_(input) -> Tensor", "input"_a);
  b.function("celu", &norch::celu, "celu(input, alpha=1.0) -> Tensor", "input"_a, "alpha"_a = 1.0);
  b.function("celu_", &norch::celu_, "celu_(input, alpha=1.0) -> Tensor", "input"_a, "alpha"_a = 1.0);
  b.functional("celu_", &norch::celu_, "celu_(input, alpha=1.0) -> Tensor", "input"_a, "alpha"_a = 1.0);
  b.functional(
      "celu", [](const Tensor& x, double alpha, Truth inplace) { return inplace ? celu_(x, alpha) : celu(x, alpha); },
      "celu(input, alpha=1.0, inplace=False) -> Tensor\n\nx above 0, alpha * (exp(x / alpha) - 1) below.", "input"_a,
      "alpha"_a = 1.0, "inplace"_a.none() = false);
  b.functional(
      "elu", [](const Tensor& x, double alpha, Truth inplace) { return inplace ? elu_(x, alpha) : elu(x, alpha); },
      "elu(input, alpha=1.0, inplace=False) -> Tensor\n\nx above 0, alpha * (exp(x) - 1) below.", "input"_a,
      "alpha"_a = 1.0, "inplace"_a.none() = false);
  b.functional(
      "elu_", [](const Tensor& x, double alpha) { return elu_(x, alpha); }, "elu_(input, alpha=1.0) -> Tensor",
      "input"_a, "alpha"_a = 1.0);
  b.functional(
      "leaky_relu",
      [](const Tensor& x, double slope, Truth inplace) { return inplace ? leaky_relu_(x, slope) : leaky_relu(x, slope); },
      "leaky_relu(input, negative_slope=0.01, inplace=False) -> Tensor\n\nx above 0, negative_slope * x below.",
      "input"_a, "negative_slope"_a = 0.01, "inplace"_a.none() = false);
  b.functional("leaky_relu_", &norch::leaky_relu_, "leaky_relu_(input, negative_slope=0.01) -> Tensor", "input"_a,
               "negative_slope"_a = 0.01);
  b.functional(
      "gelu", [](const Tensor& x, const std::string& approximate) { return gelu(x, approximate); },
      "gelu(input, *, approximate='none') -> Tensor\n\nx * P(N(0, 1) <= x), or its tanh approximation.", "input"_a,
      nb::kw_only(), "approximate"_a = "none");
  b.functional("softplus", &norch::softplus, "softplus(input, beta=1.0, threshold=20.0) -> Tensor\n\nlog(1 + exp(beta * "
               "x)) / beta, x itself where beta * x > threshold.", "input"_a, "beta"_a = 1.0, "threshold"_a = 20.0);
  b.functional(
      "hardtanh",
      [](const Tensor& x, const Scalar& low, const Scalar& high, Truth inplace) {
        return inplace ? hardtanh_(x, low, high) : hardtanh(x, low, high);
      },
      "hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False) -> Tensor\n\nx limited to [min_val, max_val].",
      "input"_a, "min_val"_a = -1.0, "max_val"_a = 1.0, "inplace"_a.none() = false);
  b.functional("hardtanh_", &norch::hardtanh_, "hardtanh_(input, min_val=-1.0, max_val=1.0) -> Tensor", "input"_a,
               "min_val"_a = -1.0, "max_val"_a = 1.0);
  b.function("threshold", &norch::threshold, "threshold(input, threshold, value) -> Tensor", "input"_a, "threshold"_a,
             "value"_a);
  b.function("threshold_", &norch::threshold_, "threshold_(input, threshold, value) -> Tensor", "input"_a,
             "threshold"_a, "value"_a);
  b.functional("threshold_", &norch::threshold_, "threshold_(input, threshold, value) -> Tensor", "input"_a,
               "threshold"_a, "value"_a);
  b.functional(
      "threshold",
      [](const Tensor& x, const Scalar& at, const Scalar& value, Truth inplace) {
        return inplace ? threshold_(x, at, value) : threshold(x, at, value);
      },
      "threshold(input, threshold, value, inplace=False) -> Tensor\n\nx where it exceeds threshold, else value.",
      "input"_a, "threshold"_a, "value"_a, "inplace"_a.none() = false);
  b.op("hardshrink", &norch::hardshrink, "hardshrink(input, lambd=0.5) -> Tensor\n\n0 within [-lambd, lambd].",
       "input"_a, "lambd"_a = 0.5);
  b.functional("hardshrink", &norch::hardshrink, "hardshrink(input, lambd=0.5) -> Tensor\n\n0 within [-lambd, lambd].",
               "input"_a, "lambd"_a = 0.5);
  b.functional("softshrink", &norch::softshrink, "softshrink(input, lambd=0.5) -> Tensor\n\nx moved towards 0 by lambd.",
               "input"_a, "lambd"_a = 0.5);
}

}  // namespace

void bind_unary_ops(Binder& b) {
  bind_unary(b);
  bind_activations(b);
}

}  // namespace norch::python
