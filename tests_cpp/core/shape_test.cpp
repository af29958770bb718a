#include "norch/shape.h"

#include "error_text.h"

namespace norch {
namespace {

TEST(Shape, GrowsBeyondItsInlineRoomAndMoves) {
  Shape s;
  for (int64_t i = 0; i < 20; ++i) s.push_back(i);
  Shape copy = s;
  Shape moved = std::move(s);
  EXPECT_EQ(moved.size(), 20u);
  EXPECT_EQ(moved, copy);
  EXPECT_TRUE(s.empty());
  moved.insert(0, 7);
  moved.erase(1);
  EXPECT_EQ(moved[0], 7);
  EXPECT_EQ(moved[1], 1);
  EXPECT_ERROR(Error, moved.resize(65), "at most 64 dims");
}

TEST(Shape, NumelChecksOverflowAndSign) {
  EXPECT_EQ(numel_of({}), 1);
  EXPECT_EQ(numel_of({3, 0, 5}), 0);
  EXPECT_EQ(numel_of({int64_t{1} << 40, 0, int64_t{1} << 40}), 0);
  EXPECT_ERROR(Error, numel_of({int64_t{1} << 40, int64_t{1} << 40}), "does not fit in 64 bits");
  EXPECT_ERROR(Error, numel_of({2, -1}, "empty"), "empty: negative dimension -1");
}

TEST(Shape, Broadcast) {
  EXPECT_EQ(broadcast_shapes({2, 1, 3}, {4, 1}), Shape({2, 4, 3}));
  EXPECT_EQ(broadcast_shapes({}, {0}), Shape({0}));
  EXPECT_ERROR(Error, broadcast_shapes({2, 3}, {4}, "mul"), "mul: shapes [2, 3] and [4] do not broadcast");
}

TEST(Shape, WrapDim) {
  EXPECT_EQ(wrap_dim(-1, 3), 2);
  EXPECT_EQ(wrap_dim(0, 0), 0);
  EXPECT_EQ(wrap_dim(-1, 0), 0);
  EXPECT_ERROR(IndexError, wrap_dim(3, 3), "Dimension out of range (expected to be in range of [-3, 2], but got 3)");
}

TEST(Shape, InferSize) {
  EXPECT_EQ(infer_size({-1, 3}, 12), Shape({4, 3}));
  EXPECT_ERROR(Error, infer_size({-1, 5}, 12), "shape '[-1, 5]' is invalid for input of size 12");
  EXPECT_ERROR(Error, infer_size({-1, -1}, 12), "only one dimension can be inferred");
  EXPECT_ERROR(Error, infer_size({-1, 0}, 0), "ambiguous");
}

}  // namespace
}  // namespace norch
