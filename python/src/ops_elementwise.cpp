// Elementwise ops of one tensor, and activation functions.
#include "bind.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

using Unary = Tensor (*)(const Tensor&);

struct UnaryRow {
  const char* name;
  Unary f;
  Unary in_place;  // null where PyTorch has none
  const char* doc;
};

#define ROW(name, doc) {#name, &norch::name, &norch::name##_, #name "(input, *, out=None) -> Tensor\n\n" doc}
const UnaryRow unary_rows[] = {
    ROW(abs, "|x|, element by element."),
    ROW(acos, "Inverse cosine."),
    ROW(acosh, "Inverse hyperbolic cosine."),
    ROW(asin, "Inverse sine."),
    ROW(asinh, "Inverse hyperbolic sine."),
    ROW(atan, "Inverse tangent."),
    ROW(atanh, "Inverse hyperbolic tangent."),
    ROW(bitwise_not, "Every bit inverted; `not` for bool."),
    ROW(ceil, "Up to the next integer."),
    ROW(cos, "Cosine."),
    ROW(cosh, "Hyperbolic cosine."),
    ROW(deg2rad, "Degrees to radians."),
    ROW(digamma, "Derivative of log gamma."),
    ROW(erf, "Error function."),
    ROW(erfc, "1 - erf(x)."),
    ROW(erfinv, "Inverse of erf; NaN outside [-1, 1]."),
    ROW(exp, "e^x."),
    ROW(exp2, "2^x."),
    ROW(expm1, "e^x - 1, also right near 0."),
    ROW(floor, "Down to the next integer."),
    ROW(frac, "x - trunc(x)."),
    ROW(lgamma, "log |gamma(x)|."),
    ROW(log, "Natural logarithm."),
    ROW(log10, "Logarithm to base 10."),
    ROW(log1p, "log(1 + x), also right near 0."),
    ROW(log2, "Logarithm to base 2."),
    ROW(logical_not, "x == 0."),
    ROW(neg, "-x."),
    ROW(rad2deg, "Radians to degrees."),
    ROW(reciprocal, "1 / x."),
    ROW(rsqrt, "1 / sqrt(x)."),
    ROW(sigmoid, "1 / (1 + exp(-x))."),
    ROW(sign, "-1, 0 or 1; 0 for NaN."),
    ROW(sin, "Sine."),
    ROW(sinc, "sin(pi x) / (pi x), 1 at 0."),
    ROW(sinh, "Hyperbolic sine."),
    ROW(sqrt, "Square root."),
    ROW(square, "x * x."),
    ROW(tan, "Tangent."),
    ROW(tanh, "Hyperbolic tangent."),
    ROW(trunc, "Towards zero to an integer."),
};
#undef ROW
#define TEST(name, doc) {#name, &norch::name, nullptr, #name "(input) -> Tensor\n\n" doc}
const UnaryRow test_rows[] = {
    TEST(isnan, "Whether each element is NaN."),
    TEST(isinf, "Whether each element is infinite."),
    TEST(isfinite, "Whether each element is finite."),
    TEST(isposinf, "Whether each element is +inf."),
    TEST(isneginf, "Whether each element is -inf."),
    TEST(isreal, "True for every element."),
    TEST(signbit, "Whether each element's sign bit is set."),
    TEST(positive, "The tensor itself."),
};
#undef TEST

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
        [f = row.f, g = row.in_place](const Tensor& x, bool inplace) { return inplace ? g(x) : f(x); }, row.doc,
        "input"_a, "inplace"_a = false);
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
      "celu", [](const Tensor& x, double alpha, bool inplace) { return inplace ? celu_(x, alpha) : celu(x, alpha); },
      "celu(input, alpha=1.0, inplace=False) -> Tensor\n\nx above 0, alpha * (exp(x / alpha) - 1) below.", "input"_a,
      "alpha"_a = 1.0, "inplace"_a = false);
  b.functional(
      "elu", [](const Tensor& x, double alpha, bool inplace) { return inplace ? elu_(x, alpha) : elu(x, alpha); },
      "elu(input, alpha=1.0, inplace=False) -> Tensor\n\nx above 0, alpha * (exp(x) - 1) below.", "input"_a,
      "alpha"_a = 1.0, "inplace"_a = false);
  b.functional(
      "elu_", [](const Tensor& x, double alpha) { return elu_(x, alpha); }, "elu_(input, alpha=1.0) -> Tensor",
      "input"_a, "alpha"_a = 1.0);
  b.functional(
      "leaky_relu",
      [](const Tensor& x, double slope, bool inplace) { return inplace ? leaky_relu_(x, slope) : leaky_relu(x, slope); },
      "leaky_relu(input, negative_slope=0.01, inplace=False) -> Tensor\n\nx above 0, negative_slope * x below.",
      "input"_a, "negative_slope"_a = 0.01, "inplace"_a = false);
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
      [](const Tensor& x, const Scalar& low, const Scalar& high, bool inplace) {
        return inplace ? hardtanh_(x, low, high) : hardtanh(x, low, high);
      },
      "hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False) -> Tensor\n\nx limited to [min_val, max_val].",
      "input"_a, "min_val"_a = -1.0, "max_val"_a = 1.0, "inplace"_a = false);
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
      [](const Tensor& x, const Scalar& at, const Scalar& value, bool inplace) {
        return inplace ? threshold_(x, at, value) : threshold(x, at, value);
      },
      "threshold(input, threshold, value, inplace=False) -> Tensor\n\nx where it exceeds threshold, else value.",
      "input"_a, "threshold"_a, "value"_a, "inplace"_a = false);
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
