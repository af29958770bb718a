#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::max_difference;
using testing::message;
using testing::numbers;

TEST(Statistics, UniqueAlongADimRebuildsTheInput) {
  const Tensor x = numbers({40, 3}, kInt64);
  for (bool consecutive : {false, true}) {
    auto [values, inverse, counts] = unique_dim(x, 0, consecutive);
    EXPECT_TRUE(equal(index_select(values, 0, inverse), x));
    EXPECT_EQ(sum(counts).item<int64_t>(), 40);
  }
}

TEST(Statistics, HistogramOfAGridCountsEveryPointOnce) {
  const Tensor x = numbers({500, 2});
  const Histogram h = histogramdd(x, Ints({4, 7}));
  EXPECT_EQ(h.hist.sizes(), Ints({4, 7}));
  EXPECT_EQ(sum(h.hist).item<double>(), 500);
  EXPECT_NE(message([&] { histogramdd(x, Ints({4})); }).find("innermost dimension"), std::string::npos);
}

TEST(Statistics, DifferencesAndAreasUndoEachOther) {
  const Tensor x = numbers({3, 9});
  EXPECT_LT(max_difference(cumsum(diff(x), 1), narrow(x, 1, 1, 8) - narrow(x, 1, 0, 1)), 1e-15);
  EXPECT_LT(max_difference(select(cumulative_trapezoid(x), 1, 7), trapezoid(x)), 1e-15);
}

TEST(Statistics, ResizeKeepsMemory) {
  Tensor x = arange(0, 6, 1);
  resize_(x, {2, 2});
  EXPECT_TRUE(equal(x, reshape(arange(0, 4, 1), {2, 2})));
  resize_(x, {3, 4});
  EXPECT_TRUE(equal(narrow(reshape(x, {-1}), 0, 0, 6), arange(0, 6, 1)));
}

}  // namespace
}  // namespace norch
