#include "core/mersenne_twister.h"

#include <gtest/gtest.h>

#include <cmath>

#include "norch/ops.h"

namespace norch {
namespace {

// The first outputs that the authors publish for init_genrand(5489), and the ten thousandth that the C++ standard names.
TEST(MersenneTwister, PublishedNumbers) {
  MersenneTwister engine;
  for (const uint32_t expected : {3499211612u, 581869302u, 3890346734u, 3586334585u, 545404204u}) EXPECT_EQ(engine(), expected);
  for (int i = 5; i < 9999; ++i) engine();
  EXPECT_EQ(engine(), 4123659995u);
}

TEST(MersenneTwister, GoesOnFromItsState) {
  MersenneTwister a(7), b(8);
  for (int i = 0; i < 1000; ++i) a();
  b.set(a.words(), a.drawn());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(a(), b());
}

TEST(Generator, StateOfTheTwister) {
  Ref<Generator> g(new Generator(3, RandomEngine::Twister));
  EXPECT_EQ(g->save_state().size(), 5056u);
  randn({3}, {}, g.get());  // leaves the second of a pair
  const std::vector<uint8_t> state = g->save_state();
  const Tensor first = randn({40}, {}, g.get()), pair = randn({2}, {}, g.get());
  Ref<Generator> other(new Generator(9, RandomEngine::Twister));
  other->load_state(state.data(), state.size());
  EXPECT_TRUE(equal(randn({40}, {}, other.get()), first));
  EXPECT_TRUE(equal(randn({2}, {}, other.get()), pair));
  EXPECT_EQ(other->initial_seed(), 3u);

  EXPECT_THROW(other->load_state(state.data(), 16), Error);
  std::vector<uint8_t> bad = state;
  bad[8] = 200;  // fewer words left than have not been drawn
  EXPECT_THROW(other->load_state(bad.data(), bad.size()), Error);
  Ref<Generator> philox(new Generator(3, RandomEngine::Philox));
  EXPECT_THROW(philox->load_state(state.data(), state.size()), Error);
}

TEST(Generator, EngineOfTheDefaultGenerator) {
  manual_seed(1);
  const Tensor philox = rand({4});
  set_random_engine(RandomEngine::Twister);
  manual_seed(1);
  const Tensor twister = rand({4});
  EXPECT_FLOAT_EQ(twister.data<float>()[0], 0.75763165f);
  EXPECT_EQ(Ref<Generator>(new Generator)->engine(), RandomEngine::Twister);
  set_random_engine(RandomEngine::Philox);
  EXPECT_TRUE(equal(rand({4}), philox));  // the stream of the seed anew
}

}  // namespace
}  // namespace norch
