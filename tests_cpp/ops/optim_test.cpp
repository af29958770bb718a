// Fused optimizer steps against the formulas written out.
#include "norch/optim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "norch/ops.h"

namespace norch::optim {
namespace {

Tensor from(const std::vector<double>& values, DType dtype = kFloat64) {
  Tensor t = empty({static_cast<int64_t>(values.size())}, kFloat64);
  for (size_t i = 0; i < values.size(); ++i) t.data<double>()[i] = values[i];
  return t.to(dtype);
}
double at(const Tensor& t, int64_t i) { return t.to(kFloat64).contiguous().data<double>()[i]; }

Tensor parameter(const std::vector<double>& values, DType dtype = kFloat64) {
  Tensor t = from(values, dtype);
  t.requires_grad_();
  return t;
}

TEST(Optim, SgdWithMomentumDampeningAndDecay) {
  Tensor p = parameter({1, -2, 3});
  SGD opt({p}, SgdOptions().lr(0.1).momentum(0.9).dampening(0.5).weight_decay(0.01));
  double x = -2, v = 0;
  for (int step = 0; step < 4; ++step) {
    p.set_grad(from({0.5, -1.5, step * 1.0}));
    const double g = -1.5 + 0.01 * x;
    v = step == 0 ? g : 0.9 * v + 0.5 * g;
    x -= 0.1 * v;
    const uint32_t version = p.version();
    opt.step();
    EXPECT_GT(p.version(), version);
    EXPECT_NEAR(at(p, 1), x, 1e-15);
  }
  EXPECT_TRUE(p.is_leaf());
}

TEST(Optim, SgdNesterovMaximize) {
  Tensor p = parameter({1});
  SGD opt({p}, SgdOptions().lr(0.1).momentum(0.9).nesterov(true).maximize(true));
  double x = 1, v = 0;
  for (int step = 0; step < 3; ++step) {
    p.set_grad(from({2}));
    v = step == 0 ? -2 : 0.9 * v - 2;
    x -= 0.1 * (-2 + 0.9 * v);
    opt.step();
    EXPECT_NEAR(at(p, 0), x, 1e-15);
  }
}

TEST(Optim, AdamVariants) {
  for (int variant = 0; variant < 4; ++variant) {
    const bool amsgrad = variant & 1, decoupled = variant & 2;
    Tensor p = parameter({0.5, 2});
    const AdamOptions o = AdamOptions().lr(0.01).weight_decay(0.1).amsgrad(amsgrad).decoupled(decoupled);
    Adam opt({p}, o);
    double x = 2, m = 0, v = 0, top = 0;
    for (int step = 1; step <= 5; ++step) {
      const double raw = 3.0 / (step * step);
      p.set_grad(from({1, raw}));
      double g = raw;
      if (decoupled)
        x *= 1 - 0.01 * 0.1;
      else
        g += 0.1 * x;
      m += 0.1 * (g - m);
      v = 0.999 * v + 0.001 * g * g;
      top = std::max(top, v);
      const double used = amsgrad ? top : v;
      x -= 0.01 / (1 - std::pow(0.9, step)) * m / (std::sqrt(used) / std::sqrt(1 - std::pow(0.999, step)) + 1e-8);
      opt.step();
      EXPECT_NEAR(at(p, 1), x, 1e-14) << variant << " step " << step;
    }
  }
}

TEST(Optim, RmspropVariants) {
  for (int variant = 0; variant < 4; ++variant) {
    const bool centered = variant & 1;
    const double momentum = variant & 2 ? 0.5 : 0;
    Tensor p = parameter({0.5, 2});
    RMSprop opt({p}, RmspropOptions().lr(0.02).centered(centered).momentum(momentum).weight_decay(0.1));
    double x = 0.5, s = 0, mean = 0, b = 0;
    for (int step = 1; step <= 5; ++step) {
      const double raw = 1.0 + step;
      p.set_grad(from({raw, -1}));
      const double g = raw + 0.1 * x;
      s = 0.99 * s + 0.01 * g * g;
      mean += 0.01 * (g - mean);
      const double a = std::sqrt(centered ? s - mean * mean : s) + 1e-8;
      b = momentum * b + g / a;
      x -= 0.02 * (momentum != 0 ? b : g / a);
      opt.step();
      EXPECT_NEAR(at(p, 0), x, 1e-14) << variant;
    }
  }
}

TEST(Optim, ParametersWithoutGradientWait) {
  Tensor p = parameter({1}), q = parameter({1});
  Adam opt({p, q});
  p.set_grad(from({1}));
  opt.step();
  EXPECT_EQ(at(q, 0), 1);
  // The first step of Adam moves by lr whatever the gradient: q's step counts from its own first gradient.
  q.set_grad(from({1}));
  opt.step();
  EXPECT_NEAR(at(q, 0), 1 - 1e-3, 1e-10);
}

TEST(Optim, StridedAndMixedDtypes) {
  Tensor storage = from({1, 2, 3, 4, 5, 6});
  Tensor p = transpose(reshape(storage, {2, 3}), 0, 1).detach();
  Tensor h = from({1, 2, 3}, kBFloat16);
  TensorList buffers;
  Tensor g = reshape(from({1, 2, 3, 4, 5, 6}), {3, 2});
  sgd_step({p, h}, TensorList{g, from({1, 1, 1}, kBFloat16)}, buffers, SgdOptions().lr(0.5).momentum(0.9));
  // p[i][j] is storage[3 j + i], and its gradient 2 i + j + 1.
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 2; ++j) EXPECT_DOUBLE_EQ(at(storage, 3 * j + i), 3 * j + i + 1 - 0.5 * (2 * i + j + 1));
  EXPECT_DOUBLE_EQ(at(h, 2), 2.5);
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers[1].dtype(), kBFloat16);
}

TEST(Optim, RefusedStepsChangeNothing) {
  Tensor p = parameter({1, 2}), q = parameter({1});
  TensorList buffers;
  const SgdOptions o = SgdOptions().lr(1).momentum(0.9);
  EXPECT_THROW(sgd_step({p, q}, TensorList{from({1, 1}), from({1, 1})}, buffers, o), Error);
  EXPECT_THROW(sgd_step({p, q}, TensorList{from({1, 1})}, buffers, o), Error);
  EXPECT_THROW(sgd_step({p}, TensorList{from({1, 1}, kFloat32)}, buffers, o), Error);
  EXPECT_THROW(sgd_step({from({1}).to(kInt64)}, TensorList{from({1}).to(kInt64)}, buffers, o), Error);
  EXPECT_THROW(sgd_step({p}, std::nullopt, buffers, SgdOptions().momentum(-1)), ValueError);
  EXPECT_THROW(SGD({p}, SgdOptions().lr(-1)), ValueError);
  EXPECT_THROW(SGD({p}, SgdOptions().nesterov(true)), ValueError);
  EXPECT_THROW(SGD({}), ValueError);
  EXPECT_EQ(at(p, 0), 1);
}

TEST(Optim, RulesKeepTheirState) {
  Tensor p = parameter({1, 2});
  Adagrad opt({p}, AdagradOptions().lr(0.5).initial_accumulator_value(3));
  for (int i = 0; i < 2; ++i) {
    p.set_grad(from({1, -1}));
    opt.step();
  }
  EXPECT_NEAR(at(p, 0), 1 - 0.5 / 2 - 0.5 / std::sqrt(5.0), 1e-9);
  EXPECT_EQ(at(opt.state().arrays[0][0], 0), 5);
  EXPECT_EQ(opt.state().numbers[0][0].item<double>(), 2);
  RuleState state;
  EXPECT_THROW(rule_step({p}, std::nullopt, state, RpropOptions().eta_minus(2)), ValueError);
  state.arrays.resize(3);
  EXPECT_THROW(rule_step({p}, std::nullopt, state, AdagradOptions()), Error);
}

TEST(Optim, ZeroGrad) {
  Tensor p = parameter({1}), q = parameter({1});
  p.set_grad(from({3}));
  zero_grad({p, q}, false);
  EXPECT_EQ(at(p.grad(), 0), 0);
  zero_grad({p, q});
  EXPECT_FALSE(p.grad().defined());
}

TEST(Optim, ClipGradNorm) {
  const double inf = std::numeric_limits<double>::infinity();
  for (double kind : {0.0, 1.0, 2.0, 3.0, inf}) {
    Tensor a = from({3, 0, -4}), b = from({12});
    const Tensor norm = clip_grad_norm_({a, Tensor(), b}, 1.0, kind);
    double expected = kind == 0 ? 3 : kind == 1 ? 19 : kind == 2 ? 13 : kind == 3 ? std::cbrt(27 + 64 + 1728.0) : 12;
    EXPECT_NEAR(norm.item<double>(), expected, 1e-12);
    EXPECT_NEAR(at(b, 0), 12 / (expected + 1e-6), 1e-9);
    EXPECT_NEAR(at(a, 2), -4 / (expected + 1e-6), 1e-9);
  }
  Tensor small = from({0.1});
  clip_grad_norm_({small}, 1.0);
  EXPECT_EQ(at(small, 0), 0.1);
  Tensor bad = from({std::nan("")});
  EXPECT_THROW(clip_grad_norm_({bad}, 1.0, 2, true), Error);
  EXPECT_TRUE(std::isnan(clip_grad_norm_({bad}, 1.0).item<double>()));
  EXPECT_EQ(clip_grad_norm_({}, 1.0).item<double>(), 0);
}

TEST(Optim, ManyElementsInParallel) {
  const int64_t n = 200000;
  Tensor p = ones({n}, kFloat32), g = full({n}, 2.0, kFloat32);
  TensorList buffers;
  sgd_step({p}, TensorList{g}, buffers, SgdOptions().lr(0.25));
  EXPECT_EQ(at(p, 0), 0.5);
  EXPECT_EQ(at(p, n - 1), 0.5);
  EXPECT_NEAR(clip_grad_norm_({g}, 1e9).item<double>(), 2 * std::sqrt(n), 1e-3);
}

}  // namespace
}  // namespace norch::optim
