#include "kernels/plan.h"

#include <gtest/gtest.h>

#include "error_text.h"
#include "norch/norch.h"

namespace norch {
namespace {

TEST(Plan, ContiguousOperandsMakeOneRun) {
  Tensor a = empty({2, 3, 4}), b = empty({2, 3, 4}), s = empty({});
  const Plan p = make_plan({a}, {b, s});
  EXPECT_EQ(p.ndim, 1);
  EXPECT_EQ(p.shape[0], 24);
  EXPECT_EQ(p.strides[1][0], 4);
  EXPECT_EQ(p.strides[2][0], 0);
  EXPECT_TRUE(p.is_contiguous());
}

TEST(Plan, BroadcastShowsAsStrideZero) {
  Tensor out = empty({5, 2, 3}), b = empty({2, 3}), c = empty({5, 1, 1});
  const Plan p = make_plan({out}, {b, c});
  ASSERT_EQ(p.ndim, 2);
  EXPECT_EQ(p.shape[0], 6);
  EXPECT_EQ(p.shape[1], 5);
  EXPECT_EQ(p.strides[1][1], 0);
  EXPECT_EQ(p.strides[2][0], 0);
  EXPECT_EQ(p.strides[2][1], 4);
}

TEST(Plan, OrdersDimsByTheOutputsMemory) {
  Tensor a = transpose(empty({7, 5}), 0, 1), b = transpose(empty({7, 5}), 0, 1);
  EXPECT_TRUE(make_plan({a}, {b}).is_contiguous());
  const Plan crossed = make_plan({empty({5, 7})}, {b});
  ASSERT_EQ(crossed.ndim, 2);
  EXPECT_EQ(crossed.shape[0], 7);
  EXPECT_EQ(crossed.strides[0][0], 4);
  EXPECT_EQ(crossed.strides[1][0], 20);
}

TEST(Plan, EmptyAndSingleElement) {
  EXPECT_EQ(make_plan({empty({3, 0})}, {empty({1, 1})}).numel, 0);
  const Plan one = make_plan({empty({1, 1})}, {expand(empty({1}), {1, 1})});
  EXPECT_EQ(one.numel, 1);
  EXPECT_EQ(one.shape[0], 1);
}

TEST(Plan, ManyDims) {
  Shape sizes(40, 1), twos(30, 2);
  sizes[0] = sizes[39] = 2;
  EXPECT_EQ(make_plan({empty(sizes)}, {transpose(empty(sizes), 0, 39)}).ndim, 2);
  EXPECT_EQ(make_plan({empty(twos)}, {empty(twos)}).ndim, 1);
  Tensor t = empty(twos);
  for (int64_t d = 0; d < 15; ++d) t = transpose(t, d, 29 - d);
  EXPECT_ERROR(Error, make_plan({empty(twos)}, {t}), "more than 25 dims");
}

}  // namespace
}  // namespace norch
