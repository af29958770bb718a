// index.h from C++, views and gather: values, sharing of memory, gradients, errors.
#include "norch/index.h"

#include <gtest/gtest.h>

#include "error_text.h"
#include "norch/norch.h"

namespace norch {
namespace {

Tensor counting(Ints sizes) { return reshape(arange(0, numel_of(sizes), 1, kFloat64), sizes); }

std::vector<double> values(const Tensor& t) {
  const Tensor flat = t.detach().to(kFloat64).contiguous();
  return {flat.data<double>(), flat.data<double>() + flat.numel()};
}

Tensor indices(std::vector<int64_t> v) {
  Tensor t = empty({static_cast<int64_t>(v.size())}, kInt64);
  std::copy(v.begin(), v.end(), t.data<int64_t>());
  return t;
}

using V = std::vector<double>;

TEST(Index, BasicItemsGiveViews) {
  const Tensor x = counting({2, 3, 4});
  EXPECT_EQ(values(index(x, {1, Slice(0, 3, 2), -1})), (V{15, 23}));
  EXPECT_EQ(index(x, {None, Ellipsis, 0}).sizes(), Shape({1, 2, 3}));
  const Tensor row = index(x, {0, 1});
  EXPECT_TRUE(row.storage() == x.storage());
  index_put_(x, {0, 1, Slice(1, 3)}, -1);
  EXPECT_EQ(values(row), (V{4, -1, -1, 7}));
}

TEST(Index, TensorsGather) {
  const Tensor x = counting({2, 3, 4});
  EXPECT_EQ(index(x, {indices({0, 1}), Slice(), indices({3, 0})}).sizes(), Shape({2, 3}));
  EXPECT_EQ(index(x, {Slice(), indices({2, 0}), indices({3, 0})}).sizes(), Shape({2, 2}));
  EXPECT_EQ(values(index(x, {0, indices({2, -3})})), (V{8, 9, 10, 11, 0, 1, 2, 3}));
  EXPECT_EQ(values(index(x, {eq(x, full({}, 5))})), (V{5}));
}

TEST(Index, GradientsAddUpWhereIndicesRepeat) {
  const Tensor x = counting({3}).requires_grad_();
  sum(index(x, {indices({0, 2, 2})})).backward();
  EXPECT_EQ(values(x.grad()), (V{1, 0, 2}));
}

TEST(Index, ErrorsLeaveTheTargetAsItWas) {
  const Tensor x = zeros({3}, kFloat64);
  EXPECT_THROW(index_put_(x, {indices({0, 3})}, 1), IndexError);
  EXPECT_THROW(index_put_(x, {indices({0, 1})}, ones({3}, kFloat64)), Error);
  EXPECT_THROW(index(x, {0, 0}), IndexError);
  EXPECT_THROW(index(x, {Slice({}, {}, -1)}), ValueError);
  EXPECT_EQ(values(x), (V{0, 0, 0}));
}

TEST(Views, ShareMemoryAndKnowTheirBase) {
  const Tensor x = counting({2, 6});
  for (const Tensor& v : {transpose(x, 0, 1), view(x, {3, 4}), expand(x, {2, 2, 6}), diagonal(x), unfold(x, 1, 2, 2),
                          select(x, 0, 1), slice(x, 1, 1, 5, 2), unsqueeze(x, 0), permute(x, {1, 0})})
    EXPECT_TRUE(v.storage() == x.storage());
  EXPECT_FALSE(reshape(transpose(x, 0, 1), {12}).storage() == x.storage());
  EXPECT_THROW(view(transpose(x, 0, 1), {12}), Error);
}

TEST(Views, AsStridedStaysInsideItsStorage) {
  const Tensor x = counting({4});
  EXPECT_THROW(as_strided(x, {5}, {1}), Error);
  EXPECT_THROW(as_strided(x, {2}, {int64_t{1} << 62}), Error);
  EXPECT_THROW(as_strided(x, {int64_t{1} << 62, 8}, {0, 0}), Error);
  EXPECT_THROW(as_strided(x, {1}, {1}, -1), Error);
  EXPECT_EQ(as_strided(x, {0, 9}, {1, 1}).numel(), 0);
}

TEST(Gather, SumsDoNotDependOnTheNumberOfThreads) {
  const int64_t n = 200000;
  Tensor i = empty({n}, kInt64), v = empty({n, 3}, kFloat32);
  for (int64_t k = 0; k < n; ++k) i.data<int64_t>()[k] = (k * k) % 17;
  for (int64_t k = 0; k < 3 * n; ++k) v.data<float>()[k] = 1.0f / static_cast<float>(k + 1);
  const Tensor a = index_add(zeros({17, 3}), 0, i, v), b = index_add(zeros({17, 3}), 0, i, v);
  EXPECT_EQ(values(a), values(b));
  float first = 0;
  for (int64_t k = 0; k < n; ++k)
    if (i.data<int64_t>()[k] == 0) first += v.data<float>()[3 * k];
  EXPECT_EQ(values(a)[0], first);
}

}  // namespace
}  // namespace norch
