#include <complex>

#include "kernels/complex_functions.h"
#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::message;
using testing::numbers;

Tensor complex_numbers(Ints sizes, int64_t seed) {
  return complex(numbers(sizes, kFloat64, seed), numbers(sizes, kFloat64, seed + 1));
}
double difference(const Tensor& a, const Tensor& b) { return max_difference(view_as_real(a), view_as_real(b)); }

/// check_gradients of a function of complex tensors, by their parts.
void check_complex_gradients(const std::function<Tensor(const TensorList&)>& f, const TensorList& inputs) {
  TensorList parts;
  for (const Tensor& t : inputs) parts.push_back(view_as_real(t));
  check_gradients(
      [&](const TensorList& given) {
        TensorList z;
        for (const Tensor& t : given) z.push_back(view_as_complex(t));
        const Tensor out = f(z);
        return out.is_complex() ? view_as_real(out) : out;
      },
      parts);
}

TEST(Complex, NumbersOfTheStandardLibraryAreOperands) {
  const Tensor z = full({2}, std::complex<double>(1, 2), TensorOptions(kComplex128));
  const Tensor square = z * std::complex<double>(0, 1);
  EXPECT_EQ(square.data<Complex<double>>()[1], Complex<double>(-2, 1));
  EXPECT_EQ(square.dtype(), kComplex128);
  EXPECT_EQ((ones({2}) * std::complex<float>(0, 1)).dtype(), kComplex64);
}

// The GPU's own functions, here against the C library's.
TEST(Complex, FunctionsOfTheGpuKeepTheirDigits) {
  namespace finite = kernels::finite;
  using Z = Complex<float>;
  using Exact = std::complex<double>;
  struct Case {
    const char* name;
    Z (*ours)(Z);
    Exact (*exact)(Exact);
  };
  const Case cases[] = {
      {"sqrt", &finite::sqrt<float>, [](Exact z) { return std::sqrt(z); }},
      {"asin", &finite::asin<float>, [](Exact z) { return std::asin(z); }},
      {"acos", &finite::acos<float>, [](Exact z) { return std::acos(z); }},
      {"atan", &finite::atan<float>, [](Exact z) { return std::atan(z); }},
      {"asinh", &finite::asinh<float>, [](Exact z) { return std::asinh(z); }},
      {"acosh", &finite::acosh<float>, [](Exact z) { return std::acosh(z); }},
      {"atanh", &finite::atanh<float>, [](Exact z) { return std::atanh(z); }},
      {"tan", &finite::tan<float>, [](Exact z) { return std::tan(z); }},
      {"tanh", &finite::tanh<float>, [](Exact z) { return std::tanh(z); }},
  };
  const float parts[] = {0, 1e-20f, 1e-6f, 0.1f, 0.5f, 0.9999f, 1, 1.25f, 2, 30, 3e4f, 1e12f, 1e30f};
  for (const Case& c : cases) {
    for (int i = 0; i < 4 * 13 * 13; ++i) {
      const float x = i & 1 ? -parts[i / 4 % 13] : parts[i / 4 % 13], y = i & 2 ? -parts[i / 52] : parts[i / 52];
      const Z got = c.ours(Z(x, y));
      const Exact want = c.exact(Exact(x, y));
      if (std::isinf(want.real()) || std::isinf(want.imag())) continue;  // poles
      const double error = std::abs(Exact(got.re, got.im) - want);
      EXPECT_LE(error, 1e-6 * std::abs(want)) << c.name << " of (" << x << ", " << y << "): " << got.re << ", " << got.im;
      EXPECT_TRUE(want.real() == 0 || std::signbit(got.re) == std::signbit(want.real())) << c.name << " of (" << x << ", " << y
                                                                                         << ")";
      EXPECT_EQ(std::signbit(got.im), std::signbit(want.imag())) << c.name << " of (" << x << ", " << y << ")";
    }
  }
}

TEST(Complex, GradientsAreConjugateWirtingerDerivatives) {
  const Tensor a = complex_numbers({3, 4}, 1), b = complex_numbers({3, 4}, 5);
  const std::vector<std::function<Tensor(const TensorList&)>> functions = {
      [](const TensorList& t) { return t[0] * conj(t[1]); },
      [](const TensorList& t) { return t[0] / (t[1] + 3.0); },
      [](const TensorList& t) { return exp(t[0]) + log(t[1] + 3.0); },
      [](const TensorList& t) { return abs(t[0]) * angle(t[1] + 3.0); },
      [](const TensorList& t) { return matmul(t[0], transpose(t[1], 0, 1)); },
      [](const TensorList& t) { return pow(t[0] + 3.0, t[1]); },
      [](const TensorList& t) { return sum(t[0] * real(t[1]), {0}) + prod(t[1]); },
      [](const TensorList& t) { return cumprod(t[0], 1) * var(t[1], {}); },
  };
  for (const auto& f : functions) check_complex_gradients(f, {a, b});
}

TEST(Complex, ARealOperandGetsTheRealPart) {
  Tensor x = numbers({4}, kFloat64, 1).requires_grad_();
  const Tensor z = complex_numbers({4}, 2);
  const Tensor y = x * z;
  autograd::backward({y}, {complex_numbers({4}, 7)});
  EXPECT_EQ(x.grad().dtype(), kFloat64);
  EXPECT_LE(max_difference(x.grad(), real(complex_numbers({4}, 7) * conj(z))), 1e-15);
}

TEST(Complex, ProductsInEveryLayout) {
  for (int64_t n : {1, 3, 40, 130}) {
    const Tensor a = complex_numbers({n, n + 2}, 1), b = complex_numbers({n + 3, n + 2}, 3);
    const Tensor expected = sum(unsqueeze(a, 1) * unsqueeze(b, 0), {2});
    EXPECT_LE(difference(mm(a, transpose(b, 0, 1)), expected), 1e-12 * static_cast<double>(n + 2));
    EXPECT_LE(difference(mm(transpose(transpose(a, 0, 1).contiguous(), 0, 1), transpose(b, 0, 1).contiguous()), expected),
              1e-12 * static_cast<double>(n + 2));
  }
}

TEST(Complex, WideUnsignedNumbersKeepTheirOrder) {
  const Tensor t = full({1}, Scalar(uint64_t{1} << 63), TensorOptions(kUInt64));
  const Tensor both = cat({t, ones({1}, TensorOptions(kUInt64))}, 0);
  EXPECT_EQ(argmax(both).item<int64_t>(), 0);
  EXPECT_EQ(amax(both).item<uint64_t>(), uint64_t{1} << 63);
  EXPECT_TRUE(gt(t, ones({1}, TensorOptions(kUInt64))).item<bool>());
}

TEST(Complex, WhatComplexNumbersLackRaises) {
  const Tensor z = complex_numbers({3}, 1);
  for (const std::function<void()>& f : std::vector<std::function<void()>>{
           [&] { lt(z, z); }, [&] { maximum(z, z); }, [&] { amax(z); }, [&] { argmax(z); }, [&] { sort(z, 0); },
           [&] { erf(z); }, [&] { bitwise_and(z, z); }, [&] { softmax(z, 0); }})
    EXPECT_NE(message(f).find("not implemented for complex128"), std::string::npos) << message(f);
  EXPECT_NE(message([&] { floor(z); }).find("not supported for complex"), std::string::npos);
}

}  // namespace
}  // namespace norch
