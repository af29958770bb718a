#include <gtest/gtest.h>

#include <cmath>

#include "kernels/random.h"
#include "norch/autograd.h"
#include "norch/ops.h"

namespace norch {
namespace {

double at(const Tensor& t, int64_t i) { return reshape(t.to(kFloat64), {-1}).contiguous().data<double>()[i]; }

// The known answers published with Random123 (philox4x32, 10 rounds).
TEST(Philox, KnownAnswers) {
  auto words = [](uint64_t seed, uint64_t draw, uint64_t block) {
    const kernels::Words x = kernels::philox(seed, draw, block);
    return std::vector<uint32_t>(x.w, x.w + 4);
  };
  EXPECT_EQ(words(0, 0, 0), (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint64_t all = ~uint64_t{0};
  EXPECT_EQ(words(all, all, all), (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, ElementsAreTheirWords) {
  manual_seed(42);
  const Tensor t = rand({1001});
  for (int64_t i : {0, 1, 2, 3, 4, 127, 128, 1000}) {
    const kernels::Words x = kernels::philox(42, 0, static_cast<uint64_t>(i / 4));
    EXPECT_EQ(t.data<float>()[i], static_cast<float>(x.w[i % 4] >> 8) * 0x1.0p-24f);
  }
  // The second draw; a shorter tensor is a prefix of a longer one.
  const Tensor second = rand({10}, kFloat64);
  const kernels::Words x = kernels::philox(42, 1, 1);
  EXPECT_EQ(second.data<double>()[3], static_cast<double>(kernels::join(x.w[2], x.w[3]) >> 11) * 0x1.0p-53);
  manual_seed(42);
  const Tensor shorter = rand({5});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(shorter.data<float>()[i], t.data<float>()[i]);
}

__extension__ using Wide = unsigned __int128;
TEST(Random, BelowIsTheHighProduct) {
  for (uint64_t r : {uint64_t{0}, uint64_t{1}, uint64_t{0x123456789ABCDEF0}, ~uint64_t{0}})
    for (uint64_t range : {uint64_t{1}, uint64_t{10}, uint64_t{1} << 33, ~uint64_t{0}})
      EXPECT_EQ(kernels::below(r, range),
                static_cast<uint64_t>((static_cast<Wide>(r) * range) >> 64));
  EXPECT_EQ(kernels::below(7, 0), 7u);
  for (uint64_t r : {uint64_t{1}, uint64_t{0x123456789ABCDEF0}, ~uint64_t{0}})
    for (uint32_t range : {1u, 10u, 0xFFFFFFFFu})
      EXPECT_EQ((kernels::ShortIntegerSampler{-3, range}.one(r)), (kernels::IntegerSampler{-3, range}.one(r)));
}

TEST(Random, SinCosOfTurns) {
  for (int i = 0; i < 4096; ++i) {
    float s, c;
    const float u = static_cast<float>(i) / 4096 + (i % 3 ? 0x1.0p-13f : 0);
    kernels::sin_cos_turn(u, s, c);
    EXPECT_NEAR(s, std::sin(2 * M_PI * u), 2e-7);
    EXPECT_NEAR(c, std::cos(2 * M_PI * u), 2e-7);
    double sd, cd;
    kernels::sin_cos_turn(static_cast<double>(u), sd, cd);
    EXPECT_NEAR(sd, std::sin(2 * M_PI * static_cast<double>(u)), 1e-15);
    EXPECT_NEAR(cd, std::cos(2 * M_PI * static_cast<double>(u)), 1e-15);
  }
}

TEST(Random, Moments) {
  manual_seed(7);
  for (DType type : {kFloat32, kFloat64, kFloat16, kBFloat16}) {
    const int64_t n = 100000;
    const Tensor u = rand({n}, type), z = randn({n}, type);
    double mean_u = 0, mean_z = 0, square_z = 0;
    const Tensor ud = u.to(kFloat64), zd = z.to(kFloat64);
    for (int64_t i = 0; i < n; ++i) {
      const double v = ud.data<double>()[i], w = zd.data<double>()[i];
      ASSERT_TRUE(v >= 0 && v < 1);
      ASSERT_TRUE(std::isfinite(w));
      mean_u += v / n;
      mean_z += w / n;
      square_z += w * w / n;
    }
    EXPECT_NEAR(mean_u, 0.5, 0.005);
    EXPECT_NEAR(mean_z, 0, 0.015);
    EXPECT_NEAR(square_z, 1, 0.02);
  }
}

TEST(Random, StridedAndSmallTargets) {
  manual_seed(1);
  const Tensor plain = uniform_(empty({6, 4}));
  manual_seed(1);
  const Tensor strided = transpose(empty({4, 6}), 0, 1);
  uniform_(strided);
  for (int i = 0; i < 24; ++i) EXPECT_EQ(at(plain, i), at(strided.contiguous(), i));
  EXPECT_EQ(rand({0, 3}).numel(), 0);
  EXPECT_EQ(rand({}).dim(), 0);
}

TEST(Random, IntegersStayInRange) {
  const Tensor t = randint(-3, 4, {10000});
  int64_t seen[7] = {};
  for (int64_t i = 0; i < 10000; ++i) {
    const int64_t v = t.data<int64_t>()[i];
    ASSERT_TRUE(v >= -3 && v < 4);
    ++seen[v + 3];
  }
  for (int64_t n : seen) EXPECT_NEAR(n, 10000 / 7.0, 200);
  random_(empty({4}, kInt64), INT64_MIN, INT64_MAX);
  EXPECT_THROW(randint(3, 3, {2}), Error);
  EXPECT_THROW(randint(0, 300, {2}, kUInt8), Error);
  EXPECT_THROW(randint(-1, 3, {2}, kUInt8), Error);
  const Tensor b = random_(empty({100}, kBool));
  double trues = 0;
  for (int i = 0; i < 100; ++i) trues += at(b, i);
  EXPECT_NEAR(trues, 50, 25);
}

TEST(Random, Permutations) {
  const Tensor p = randperm(1000);
  std::vector<bool> seen(1000);
  for (int i = 0; i < 1000; ++i) seen[static_cast<size_t>(p.data<int64_t>()[i])] = true;
  for (bool s : seen) EXPECT_TRUE(s);
  EXPECT_EQ(randperm(0).numel(), 0);
  EXPECT_THROW(randperm(-1), Error);
  EXPECT_THROW(randperm(1000, kUInt8), Error);
}

TEST(Random, GeneratorsAreIndependent) {
  Ref<Generator> g(new Generator(5));
  manual_seed(9);
  const Tensor a = rand({3});
  const Tensor own = rand({3}, {}, g.get());
  manual_seed(9);
  EXPECT_EQ(at(rand({3}), 0), at(a, 0));
  g->manual_seed(5);
  EXPECT_EQ(at(rand({3}, {}, g.get()), 1), at(own, 1));
  const PhiloxState state = g->state();
  const Tensor next = rand({3}, {}, g.get());
  g->set_state(state);
  EXPECT_EQ(at(rand({3}, {}, g.get()), 2), at(next, 2));
}

TEST(Random, Refusals) {
  EXPECT_THROW(rand({2}, kInt64), NotImplementedError);
  EXPECT_THROW(uniform_(empty({2}), 1, 0), Error);
  EXPECT_THROW(normal_(empty({2}), 0, -1), Error);
  EXPECT_THROW(normal_(empty({2}), 0, NAN), Error);
  EXPECT_THROW(bernoulli_(empty({2}), 1.5), Error);
  EXPECT_THROW(geometric_(empty({2}), 0), Error);
  EXPECT_THROW(exponential_(empty({2}), 0), Error);
  EXPECT_THROW(rand({-1}), Error);
}

TEST(Dropout, DropsScalesAndRepeatsInBackward) {
  manual_seed(3);
  Tensor x = full({10000}, 3.0);
  x.requires_grad_();
  const Tensor y = dropout(x, 0.25);
  sum(y).backward();
  const Tensor g = x.grad();
  int64_t dropped = 0;
  for (int64_t i = 0; i < 10000; ++i) {
    const float v = y.data<float>()[i];
    ASSERT_TRUE(v == 0 || v == 4);
    ASSERT_EQ(g.data<float>()[i], v / 3);
    dropped += v == 0;
  }
  EXPECT_NEAR(dropped, 2500, 200);
  EXPECT_TRUE(dropout(x, 0.5, false).is_same(x));
  EXPECT_TRUE(dropout(x, 0).is_same(x));
  EXPECT_EQ(at(sum(dropout(x, 1)), 0), 0);
  EXPECT_THROW(dropout(x, 1.1), ValueError);
  EXPECT_THROW(dropout(full({2}, 1), 0.5), NotImplementedError);
}

TEST(Dropout, WholeChannels) {
  const Tensor y = feature_dropout(ones({8, 16, 5}), 0.5, true);
  for (int c = 0; c < 8 * 16; ++c)
    for (int i = 1; i < 5; ++i) EXPECT_EQ(at(y, c * 5 + i), at(y, c * 5));
}

}  // namespace
}  // namespace norch
