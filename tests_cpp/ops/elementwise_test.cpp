#include <cmath>

#include "kernels/cpu/parallel.h"
#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::message;

Tensor ramp(int64_t n, double from, double to) { return linspace(from, to, n, TensorOptions(kFloat32)); }

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.contiguous(), y = b.contiguous();
  return x.sizes() == y.sizes() && x.dtype() == y.dtype() &&
         std::memcmp(x.data_ptr(), y.data_ptr(), static_cast<size_t>(x.numel()) * x.itemsize()) == 0;
}

TEST(Elementwise, BitsDoNotDependOnThreads) {
  const int threads = kernels::cpu::num_threads();
  const Tensor x = ramp(300007, -5, 5);
  for (auto f : {exp, sin, tanh, erf, sigmoid}) {
    kernels::cpu::set_num_threads(1);
    const Tensor alone = f(x);
    kernels::cpu::set_num_threads(5);
    EXPECT_TRUE(same_bits(alone, f(x)));
  }
  kernels::cpu::set_num_threads(threads);
}

TEST(Elementwise, BitsDoNotDependOnPositionOrStrides) {
  const Tensor x = ramp(1000, -5, 5);
  for (auto f : {exp, log1p, tanh, erf}) {
    const Tensor whole = f(x);
    for (int64_t offset : {1, 7, 15, 500}) {
      const int64_t n = 1000 - offset;
      EXPECT_TRUE(same_bits(f(as_strided(x, {n}, {1}, offset)), as_strided(whole, {n}, {1}, offset)));
    }
    EXPECT_TRUE(same_bits(f(as_strided(x, {333}, {3}, 1)), as_strided(whole, {333}, {3}, 1)));
    EXPECT_TRUE(same_bits(f(as_strided(x, {40, 7, 3}, {21, 1, 7}, 2)), as_strided(whole, {40, 7, 3}, {21, 1, 7}, 2)));
    EXPECT_TRUE(same_bits(f(as_strided(x, {5, 9}, {0, 1}, 4)), as_strided(whole, {5, 9}, {0, 1}, 4)));
  }
}

TEST(Elementwise, InPlaceSavesTheOldValueWhereItIsNeeded) {
  Tensor x = full({3}, 2.0, TensorOptions(kFloat64).requires_grad(true));
  Tensor w = full({3}, 5.0, TensorOptions(kFloat64).requires_grad(true));
  Tensor y = x * 1.0;
  mul_(y, w);
  mul_(y, y);
  sum(y).backward();
  EXPECT_DOUBLE_EQ(x.grad().data<double>()[0], 2 * 2.0 * 25);
  EXPECT_DOUBLE_EQ(w.grad().data<double>()[0], 2 * 5.0 * 4);
}

TEST(Elementwise, NumbersKeepTheirPrecision) {
  const Tensor x = full({1}, 1.0, TensorOptions(kFloat64));
  EXPECT_EQ((x * 0.1).item<double>(), 0.1);
  EXPECT_EQ((full({1}, int64_t{1} << 60, TensorOptions(kInt64)) + 1).item<int64_t>(), (int64_t{1} << 60) + 1);
}

TEST(Elementwise, FmodIsExact) {
  const double values[] = {0.0, -0.0, 1.0, -1.0, 0.1, 3.7, -7.25, 1e10, -1e17, 1e300, 5e-324, 1e-310, HUGE_VAL, NAN};
  const int64_t n = sizeof values / sizeof *values;
  for (DType type : {kFloat32, kFloat64}) {
    Tensor v = empty({n}, TensorOptions(kFloat64));
    for (int64_t i = 0; i < n; ++i) v.data<double>()[i] = values[i];
    v = v.to(type);
    const Tensor got = fmod(reshape(v, {n, 1}), v).to(kFloat64), as_double = v.to(kFloat64);
    for (int64_t i = 0; i < n * n; ++i) {
      const double a = as_double.data<double>()[i / n], b = as_double.data<double>()[i % n];
      const double expected = type == kFloat32 ? std::fmod(static_cast<float>(a), static_cast<float>(b)) : std::fmod(a, b);
      const double g = got.data<double>()[i];
      EXPECT_TRUE(std::isnan(expected) ? std::isnan(g) : g == expected && std::signbit(g) == std::signbit(expected))
          << a << " fmod " << b << " gave " << g;
    }
  }
}

TEST(Elementwise, Errors) {
  const Tensor i = full({2}, 1, TensorOptions(kInt64)), f = full({3}, 1.0);
  EXPECT_NE(message([&] { add(i, f); }).find("add: shapes [2] and [3] do not broadcast"), std::string::npos);
  EXPECT_NE(message([&] { remainder(i, zeros_like(i)); }).find("ZeroDivisionError"), std::string::npos);
  EXPECT_NE(message([&] { add_(i, Tensor::wrap(0.5)); }).find("can't be cast to the desired output type int64"),
            std::string::npos);
  EXPECT_THROW(bitwise_and(f, f), NotImplementedError);
  EXPECT_THROW(gelu(f, "other"), Error);
}

}  // namespace
}  // namespace norch
