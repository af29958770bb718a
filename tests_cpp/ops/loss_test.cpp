#include <gtest/gtest.h>

#include <cmath>

#include "norch/autograd.h"
#include "norch/ops.h"

namespace norch {
namespace {

Tensor from(std::vector<double> values, Ints shape, DType dtype = kFloat64) {
  Tensor t = empty(shape, kFloat64);
  for (size_t i = 0; i < values.size(); ++i) t.data<double>()[i] = values[i];
  return t.to(dtype);
}
double at(const Tensor& t, int64_t i) { return reshape(t.to(kFloat64), {-1}).contiguous().data<double>()[i]; }
Tensor classes(std::vector<double> values, Ints shape) { return from(std::move(values), shape, kInt64); }

TEST(Loss, MseForwardAndBackward) {
  Tensor x = from({1, 2, 3, 4}, {2, 2}), t = from({0, 2, 5, 4}, {2, 2});
  x.requires_grad_();
  t.requires_grad_();
  EXPECT_DOUBLE_EQ(mse_loss(x, t).item<double>(), 5.0 / 4);
  EXPECT_DOUBLE_EQ(mse_loss(x, t, Reduction::Sum).item<double>(), 5);
  EXPECT_DOUBLE_EQ(at(mse_loss(x, t, Reduction::None), 2), 4);
  mse_loss(x, t).backward();
  for (int i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(at(x.grad(), i), 2 * (at(x, i) - at(t, i)) / 4);
    EXPECT_DOUBLE_EQ(at(t.grad(), i), -at(x.grad(), i));
  }
}

TEST(Loss, MseTwice) {
  Tensor x = from({3}, {1}), t = from({1}, {1});
  x.requires_grad_();
  const Tensor g = autograd::grad({mse_loss(x, t)}, {x}, {}, false, true)[0];
  EXPECT_DOUBLE_EQ(at(g, 0), 4);
  EXPECT_DOUBLE_EQ(at(autograd::grad({g}, {x})[0], 0), 2);
}

TEST(Loss, BroadcastsAndPromotes) {
  Tensor x = from({1, 2, 3, 4}, {2, 2}, kFloat32), t = from({1, 2}, {2});
  x.requires_grad_();
  const Tensor loss = mse_loss(x, t, Reduction::Sum);
  EXPECT_EQ(loss.dtype(), kFloat64);
  EXPECT_DOUBLE_EQ(loss.item<double>(), 8);
  loss.backward();
  EXPECT_EQ(x.grad().dtype(), kFloat32);
  EXPECT_EQ(at(x.grad(), 3), 4);
  EXPECT_THROW(mse_loss(x, from({1, 2, 3}, {3})), Error);
  EXPECT_THROW(mse_loss(x.to(kInt64), x.to(kInt64)), NotImplementedError);
}

TEST(Loss, SumsOfManyElementsDependOnShapeAlone) {
  const int64_t n = 100003;
  const Tensor x = randn({n}), t = randn({n});
  const double whole = mse_loss(x, t, Reduction::Sum).item<double>();
  double expected = 0;
  for (int64_t i = 0; i < n; ++i) expected += std::pow(double(x.data<float>()[i]) - double(t.data<float>()[i]), 2);
  EXPECT_NEAR(whole, expected, 2e-7 * expected);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(mse_loss(x, t, Reduction::Sum).item<double>(), whole);
}

TEST(Loss, CrossEntropyOfIndices) {
  Tensor x = from({1, 2, 3, 1, 1, 1}, {2, 3});
  x.requires_grad_();
  const double lse = std::log(std::exp(1) + std::exp(2) + std::exp(3));
  const Tensor loss = cross_entropy(x, classes({2, 0}, {2}));
  EXPECT_NEAR(loss.item<double>(), ((lse - 3) + std::log(3)) / 2, 1e-14);
  loss.backward();
  EXPECT_NEAR(at(x.grad(), 2), (std::exp(3 - lse) - 1) / 2, 1e-14);
  EXPECT_NEAR(at(x.grad(), 4), 1.0 / 6, 1e-14);
  // An ignored row counts for nothing, whatever its scores are.
  x.set_grad({});
  Tensor wild = from({1, 2, 3, NAN, INFINITY, 1}, {2, 3});
  wild.requires_grad_();
  const Tensor ignored = cross_entropy(wild, classes({2, -100}, {2}));
  EXPECT_NEAR(ignored.item<double>(), lse - 3, 1e-14);
  ignored.backward();
  for (int i = 3; i < 6; ++i) EXPECT_EQ(at(wild.grad(), i), 0);
}

TEST(Loss, CrossEntropyOfManyDims) {
  const Tensor x = randn({2, 5, 3, 70}, kFloat64);
  const Tensor t = randint(0, 5, {2, 3, 70});
  const Tensor losses = cross_entropy(x, t, {}, Reduction::None, -100, 0.1);
  const Tensor logp = log_softmax(x, 1);
  for (int64_t n : {0, 1})
    for (int64_t s : {0, 64, 209}) {
      double mean = 0, own = 0;
      for (int64_t c = 0; c < 5; ++c) {
        const double v = -at(logp, (n * 5 + c) * 210 + s);
        mean += v / 5;
        if (c == t.data<int64_t>()[n * 210 + s]) own = v;
      }
      EXPECT_NEAR(at(losses, n * 210 + s), 0.9 * own + 0.1 * mean, 1e-12);
    }
}

TEST(Loss, ClassesOutOfRange) {
  const Tensor x = zeros({2, 3});
  try {
    cross_entropy(x, classes({0, 5}, {2}));
    FAIL();
  } catch (const IndexError& e) {
    EXPECT_STREQ(e.what(), "Target 5 is out of bounds.");
  }
  EXPECT_THROW(nll_loss(x, classes({0, -1}, {2})), IndexError);
  EXPECT_NO_THROW(nll_loss(x, classes({0, -1}, {2}), {}, Reduction::Mean, -1));
  EXPECT_THROW(nll_loss(x, classes({0, 1, 2}, {3})), ValueError);
  EXPECT_THROW(cross_entropy(x, classes({0, 1}, {2}), ones({2})), Error);
  EXPECT_THROW(cross_entropy(x, zeros({2})), Error);
}

TEST(Loss, EmptyBatches) {
  const Tensor x = zeros({0, 3});
  EXPECT_TRUE(std::isnan(cross_entropy(x, zeros({0}, kInt64)).item<double>()));
  EXPECT_EQ(cross_entropy(x, zeros({0}, kInt64), {}, Reduction::Sum).item<double>(), 0);
  EXPECT_TRUE(std::isnan(mse_loss(zeros({0}), zeros({0})).item<double>()));
  EXPECT_EQ(mse_loss(zeros({0}), zeros({0}), Reduction::None).numel(), 0);
}

TEST(Loss, ProbabilitiesAreChecked) {
  EXPECT_THROW(binary_cross_entropy(from({1.5}, {1}), from({1}, {1})), Error);
  EXPECT_THROW(binary_cross_entropy(from({NAN}, {1}), from({1}, {1})), Error);
  EXPECT_THROW(binary_cross_entropy(zeros({2}), zeros({1, 2})), ValueError);
  EXPECT_THROW(parse_reduction("average"), ValueError);
}

}  // namespace
}  // namespace norch
