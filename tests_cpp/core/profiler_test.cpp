#include "norch/profiler.h"

#include <gtest/gtest.h>

#include <thread>

#include "norch/autograd.h"
#include "norch/ops.h"

namespace norch {
namespace {

const profiler::Event* find(const profiler::Profile& p, const std::string& name) {
  for (const profiler::Event& e : p.events)
    if (e.name == name) return &e;
  return nullptr;
}

TEST(Profiler, RangesNest) {
  profiler::start();
  {
    profiler::Range outer("outer");
    { profiler::Range inner("inner"); }
    { profiler::Range inner("second"); }
  }
  const profiler::Profile p = profiler::stop();
  ASSERT_EQ(p.events.size(), 3u);
  EXPECT_EQ(p.events[0].name, "outer");
  EXPECT_EQ(p.events[0].parent, -1);
  EXPECT_EQ(p.events[1].parent, 0);
  EXPECT_EQ(p.events[2].parent, 0);
  EXPECT_LE(p.start, p.events[0].start);
  EXPECT_LE(p.events[0].start, p.events[1].start);
  EXPECT_LE(p.events[1].end, p.events[2].start);
  EXPECT_LE(p.events[2].end, p.events[0].end);
  EXPECT_LE(p.events[0].end, p.end);
}

TEST(Profiler, NamesAreMadeOnlyWhileItRecords) {
  int made = 0;
  auto name = [&] { return ++made, "name"; };
  { profiler::Range range(name); }
  EXPECT_EQ(made, 0);
  profiler::start();
  { profiler::Range range(name); }
  EXPECT_EQ(profiler::stop().events.size(), 1u);
  EXPECT_EQ(made, 1);
}

TEST(Profiler, BackwardNodesByName) {
  const Tensor x = ones({3}).requires_grad_(true);
  const Tensor y = sum(exp(mul(x, x)));
  profiler::start();
  y.backward();
  const profiler::Profile p = profiler::stop();
  const profiler::Event* node = find(p, "MulBackward0");
  ASSERT_TRUE(node);
  ASSERT_GE(node->parent, 0);
  EXPECT_EQ(p.events[node->parent].name, "autograd::engine::evaluate_function: MulBackward0");
  EXPECT_EQ(node->kind, profiler::Kind::Backward);
  EXPECT_TRUE(find(p, "ExpBackward0"));
  EXPECT_GE(node->sequence, 0);
}

TEST(Profiler, AllocationsBelongToTheInnermostEvent) {
  profiler::start({/*memory=*/true});
  {
    profiler::Range outer("outer");
    Tensor t;
    {
      profiler::Range inner("inner");
      t = empty({1000});
    }
    t = Tensor();
  }
  const profiler::Profile p = profiler::stop();
  EXPECT_EQ(find(p, "inner")->cpu_bytes, 4000);
  EXPECT_EQ(find(p, "outer")->cpu_bytes, -4000);
  ASSERT_EQ(p.allocations.size(), 2u);
  EXPECT_EQ(p.allocations[0].bytes, 4000);
  EXPECT_EQ(p.allocations[1].event, 0);
}

TEST(Profiler, ThreadsHaveStacksOfTheirOwn) {
  profiler::start();
  {
    profiler::Range outer("main");
    std::thread([] { profiler::Range range("other"); }).join();
  }
  const profiler::Profile p = profiler::stop();
  EXPECT_EQ(find(p, "other")->parent, -1);
  EXPECT_NE(find(p, "other")->thread, find(p, "main")->thread);
}

TEST(Profiler, RangesMayOutlastTheProfile) {
  profiler::start();
  auto range = std::make_unique<profiler::Range>("long");
  const profiler::Profile first = profiler::stop();
  EXPECT_EQ(first.events[0].end, first.end);
  profiler::start();
  { profiler::Range other("other"); }
  range.reset();
  const profiler::Profile second = profiler::stop();
  ASSERT_EQ(second.events.size(), 1u);
  EXPECT_EQ(second.events[0].name, "other");
}

TEST(Profiler, OneAtATime) {
  EXPECT_THROW(profiler::stop(), Error);
  profiler::start();
  EXPECT_THROW(profiler::start(), Error);
  profiler::stop();
}

}  // namespace
}  // namespace norch
