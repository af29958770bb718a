// Special functions by the identities that join them, which hold whatever the approximations are.
#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::max_difference;
using testing::message;

Tensor grid(double low, double high, int64_t n = 2001) { return linspace(low, high, n, TensorOptions(kFloat64)); }

TEST(Special, WronskianOfBesselFunctions) {
  const Tensor x = grid(0.01, 60);
  const Tensor w = special_bessel_j1(x) * special_bessel_y0(x) - special_bessel_j0(x) * special_bessel_y1(x);
  EXPECT_LT(max_difference(w * x, full_like(x, 2 / 3.14159265358979323846)), 1e-13);
}

TEST(Special, WronskianOfModifiedBesselFunctions) {
  const Tensor x = grid(0.01, 60);
  const Tensor w = i0(x) * special_modified_bessel_k1(x) + special_i1(x) * special_modified_bessel_k0(x);
  EXPECT_LT(max_difference(w * x, ones_like(x)), 1e-13);
  const Tensor scaled = special_i0e(x) * special_scaled_modified_bessel_k1(x) +
                        special_i1e(x) * special_scaled_modified_bessel_k0(x);
  EXPECT_LT(max_difference(scaled * x, ones_like(x)), 1e-13);
}

TEST(Special, NormalDistributionAndItsInverse) {
  const Tensor x = grid(-30, 5);
  EXPECT_LT(max_difference(special_ndtri(special_ndtr(x)), x), 1e-8);
  EXPECT_LT(max_difference(exp(special_log_ndtr(x)), special_ndtr(x)), 1e-14);
}

TEST(Special, IncompleteGammaAddsUp) {
  const Tensor a = reshape(grid(0.05, 300, 60), {60, 1}), x = grid(0, 300, 61);
  EXPECT_LT(max_difference(igamma(a, x) + igammac(a, x), ones({60, 61}, TensorOptions(kFloat64))), 1e-13);
}

TEST(Special, IntegersAndParts) {
  const Tensor a = arange(-40, 41, 1), b = reshape(arange(-6, 7, 1), {13, 1});
  EXPECT_TRUE(equal(gcd(a, b) * lcm(a, b), abs(mul(a, b))));
  const Tensor x = grid(-9, 9, 101);
  auto [mantissa, exponent] = frexp(x);
  EXPECT_TRUE(equal(ldexp(mantissa, exponent), x));
  EXPECT_NE(message([&] { gcd(x, x); }).find("not implemented for float64"), std::string::npos);
}

}  // namespace
}  // namespace norch
