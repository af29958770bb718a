// norch.special, and its functions that have a name in module norch too.
#include "bind.h"
#include "named_results.h"
#include "norch/ops/special.h"

namespace norch::python {

namespace {

struct UnaryRow {
  const char* name;
  Tensor (*f)(const Tensor&);
  const char* doc;
};

#define ROW(name, doc) {#name, &special_##name, #name "(input, *, out=None) -> Tensor\n\n" doc}
const UnaryRow unary_rows[] = {
    ROW(airy_ai, "The Airy function Ai."),
    ROW(bessel_j0, "The Bessel function of the first kind of order 0."),
    ROW(bessel_j1, "The Bessel function of the first kind of order 1."),
    ROW(bessel_y0, "The Bessel function of the second kind of order 0."),
    ROW(bessel_y1, "The Bessel function of the second kind of order 1."),
    ROW(entr, "-x log(x), 0 at 0, -inf below.\n\n>>> norch.special.entr(norch.tensor([0.0, 1.0, -1.0]))\n"
              "tensor([0., -0., -inf])"),
    ROW(erfcx, "exp(x^2) erfc(x)."),
    ROW(i0e, "exp(-|x|) i0(x)."),
    ROW(i1, "The modified Bessel function of the first kind of order 1."),
    ROW(i1e, "exp(-|x|) i1(x)."),
    ROW(log_ndtr, "The logarithm of ndtr."),
    ROW(modified_bessel_i0, "The modified Bessel function of the first kind of order 0."),
    ROW(modified_bessel_i1, "The modified Bessel function of the first kind of order 1."),
    ROW(modified_bessel_k0, "The modified Bessel function of the second kind of order 0."),
    ROW(modified_bessel_k1, "The modified Bessel function of the second kind of order 1."),
    ROW(ndtr, "The probability that a standard normal number is below x.\n\n"
              ">>> norch.special.ndtr(norch.tensor([0.0]))\ntensor([0.5000])"),
    ROW(ndtri, "The inverse of ndtr."),
    ROW(scaled_modified_bessel_k0, "exp(x) modified_bessel_k0(x)."),
    ROW(scaled_modified_bessel_k1, "exp(x) modified_bessel_k1(x)."),
    ROW(spherical_bessel_j0, "sin(x) / x."),
};
#undef ROW

struct BinaryRow {
  const char* name;
  Tensor (*f)(const Tensor&, const Tensor&);
  const char *first, *second;
  const char* doc;
};

#define POLYNOMIAL(name, text) \
  {#name, &special_##name, "input", "n", #name "(input, n, *, out=None) -> Tensor\n\nThe " text " polynomial of degree n."}
const BinaryRow binary_rows[] = {
    POLYNOMIAL(chebyshev_polynomial_t, "Chebyshev (first kind)"),
    POLYNOMIAL(chebyshev_polynomial_u, "Chebyshev (second kind)"),
    POLYNOMIAL(chebyshev_polynomial_v, "Chebyshev (third kind)"),
    POLYNOMIAL(chebyshev_polynomial_w, "Chebyshev (fourth kind)"),
    POLYNOMIAL(shifted_chebyshev_polynomial_t, "Chebyshev (first kind, of 2 x - 1)"),
    POLYNOMIAL(shifted_chebyshev_polynomial_u, "Chebyshev (second kind, of 2 x - 1)"),
    POLYNOMIAL(shifted_chebyshev_polynomial_v, "Chebyshev (third kind, of 2 x - 1)"),
    POLYNOMIAL(shifted_chebyshev_polynomial_w, "Chebyshev (fourth kind, of 2 x - 1)"),
    POLYNOMIAL(hermite_polynomial_h, "physicist's Hermite"),
    POLYNOMIAL(hermite_polynomial_he, "probabilist's Hermite"),
    POLYNOMIAL(laguerre_polynomial_l, "Laguerre"),
    POLYNOMIAL(legendre_polynomial_p, "Legendre"),
    {"xlog1py", &special_xlog1py, "input", "other",
     "xlog1py(input, other, *, out=None) -> Tensor\n\ninput * log(1 + other), 0 where input is 0."},
    {"zeta", &special_zeta, "input", "other",
     "zeta(input, other, *, out=None) -> Tensor\n\nThe Hurwitz zeta function: the sum over k >= 0 of (other + k)^-input."},
};
#undef POLYNOMIAL

}  // namespace

void bind_special(Binder& b) {
  nb::module_ special = b.root.def_submodule("_special", "Functions of norch.special.");
  for (const UnaryRow& row : unary_rows) b.in(special, row.name, row.f, row.doc, "input"_a);
  for (const BinaryRow& row : binary_rows)
    b.in(
        special, row.name,
        [row](const Operand& x, const Operand& y) {
          NORCH_CHECK_TYPE(!(x.tensor.is_wrapped_number() && y.tensor.is_wrapped_number()), row.name,
                           "(): one of the operands must be a Tensor, but both are numbers");
          return row.f(x, y);
        },
        row.doc, nb::arg(row.first), nb::arg(row.second));

  b.op("i0", &i0, "i0(input, *, out=None) -> Tensor\n\nThe modified Bessel function of the first kind of order 0.",
       "input"_a);
  const BinaryRow pairs[] = {
      {"igamma", &igamma, "input", "other",
       "igamma(input, other, *, out=None) -> Tensor\n\nThe regularised lower incomplete gamma function P(input, other)."},
      {"igammac", &igammac, "input", "other", "igammac(input, other, *, out=None) -> Tensor\n\n1 - igamma."},
      {"gcd", &gcd, "input", "other", "gcd(input, other, *, out=None) -> Tensor\n\nThe greatest common divisor.\n\n"
                                      ">>> norch.gcd(norch.tensor([12, -8]), norch.tensor([18, 4]))\ntensor([6, 4])"},
      {"lcm", &lcm, "input", "other", "lcm(input, other, *, out=None) -> Tensor\n\nThe least common multiple."},
      {"heaviside", &heaviside, "input", "values",
       "heaviside(input, values, *, out=None) -> Tensor\n\n0 below 0, 1 above, `values` at 0."},
  };
  for (const BinaryRow& row : pairs) b.op(row.name, row.f, row.doc, nb::arg(row.first), nb::arg(row.second));
  b.op("ldexp", &ldexp, "ldexp(input, other, *, out=None) -> Tensor\n\ninput * 2^other.", "input"_a, "other"_a);
  b.op("mvlgamma", &mvlgamma, "mvlgamma(input, p, *, out=None) -> Tensor\n\nThe logarithm of the multivariate gamma "
       "function of dimension p.", "input"_a, "p"_a);
  b.op(
      "frexp",
      [type = named_type("frexp", {"mantissa", "exponent"})](const Tensor& x) {
        auto [mantissa, exponent] = frexp(x);
        return NamedPair{type, mantissa, exponent};
      },
      "frexp(input, *, out=None) -> (mantissa, exponent)\n\ninput = mantissa * 2^exponent, 0.5 <= |mantissa| < 1.",
      "input"_a);
}

}  // namespace norch::python
