#include "norch/ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/parallel.h"
#include "norch/ops.h"

namespace norch {
namespace {

Tensor numbers(Ints sizes) {
  Tensor t = empty(sizes);
  float* x = t.data<float>();
  uint32_t state = 1;
  for (int64_t i = 0; i < t.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    x[i] = static_cast<float>(state >> 8) / 16777216.0f;
  }
  return t;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() &&
         std::memcmp(a.data_ptr(), b.data_ptr(), static_cast<size_t>(a.numel()) * a.itemsize()) == 0;
}

TEST(Reduce, BitsDoNotDependOnThreads) {
  const int before = kernels::cpu::num_threads();
  const Tensor flat = numbers({1000003}), wide = numbers({70001, 13}), tall = numbers({5, 200003});
  TensorList results[3];
  const int threads[] = {1, 2, 5};
  for (int i = 0; i < 3; ++i) {
    kernels::cpu::set_num_threads(threads[i]);
    for (const Tensor& t : {flat, wide, tall}) {
      results[i].push_back(sum(t));
      results[i].push_back(var(t, {0}));
      results[i].push_back(vector_norm(t, 2, {-1}));
      results[i].push_back(softmax(t, 0));
      results[i].push_back(prod(t, {0}));
    }
  }
  kernels::cpu::set_num_threads(before);
  for (size_t k = 0; k < results[0].size(); ++k) {
    EXPECT_TRUE(same_bits(results[0][k], results[1][k])) << k;
    EXPECT_TRUE(same_bits(results[0][k], results[2][k])) << k;
  }
}

TEST(Reduce, LargeFloatSumsAreAccurate) {
  const Tensor t = full({3000000}, 0.1f);
  const double exact = 3000000.0 * static_cast<double>(0.1f);
  // Sums of equal numbers all round the same way, the worst case of a cascade in float32: some 8 ulps. Adding one by
  // one is off by 1e-2.
  EXPECT_NEAR(sum(t).item<double>() / exact, 1, 7e-7);
  EXPECT_NEAR(sum(reshape(t, {1000000, 3}), {0}).data<float>()[1] / (exact / 3), 1, 7e-7);
}

TEST(Reduce, VarianceOfNumbersFarFromZero) {
  Tensor t = numbers({4, 10000});
  const double spread = var(t.to(kFloat64), {}, 0).item<double>();
  EXPECT_NEAR(var(t + Scalar(4096), {}, 0).item<double>() / spread, 1, 1e-3);
}

TEST(Reduce, StridedInputsAreReadInPlace) {
  const Tensor t = numbers({6, 50, 40});
  const Tensor view = transpose(t, 0, 2), copy = view.contiguous();
  for (int64_t dim : {0, 1, 2}) {
    EXPECT_TRUE(same_bits(amax(view, {dim}), amax(copy, {dim})));
    EXPECT_TRUE(same_bits(max(view, dim).indices, max(copy, dim).indices));
    const Tensor a = sum(view, {dim}), b = sum(copy, {dim});
    for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-4);
  }
  EXPECT_NEAR(sum(expand(full({1, 3}, 2.0), {1000, 3})).item<double>(), 6000, 0);
}

TEST(Reduce, EmptyReductions) {
  const Tensor none = empty({2, 0});
  EXPECT_EQ(sum(none).item<double>(), 0);
  EXPECT_EQ(prod(none).item<double>(), 1);
  EXPECT_TRUE(std::isnan(mean(none).item<double>()));
  EXPECT_EQ(sum(none, {0}).numel(), 0);
  EXPECT_FALSE(any(none).item<bool>());
  EXPECT_TRUE(all(none).item<bool>());
  EXPECT_THROW(amax(none), Error);
  EXPECT_THROW(max(none, 1), IndexError);
  EXPECT_THROW(argmax(none), IndexError);
  EXPECT_THROW(sum(none, {2}), IndexError);
  EXPECT_THROW(sum(none, {0, -2}), Error);
}

TEST(Reduce, NaNIsTheLargestAndFirst) {
  Tensor t = numbers({3000});
  t.data<float>()[1700] = std::numeric_limits<float>::quiet_NaN();
  t.data<float>()[2500] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(max(t).item<double>()));
  EXPECT_TRUE(std::isnan(min(t).item<double>()));
  EXPECT_EQ(argmax(t).item<int64_t>(), 1700);
  EXPECT_EQ(argmin(reshape(t, {3000, 1}), 0).item<int64_t>(), 1700);
  EXPECT_EQ(sort(t).indices.data<int64_t>()[2998], 1700);
}

TEST(Sort, KeepsTheOrderOfEqualElements) {
  Tensor t = empty({5000}, TensorOptions(kInt32));
  for (int i = 0; i < 5000; ++i) t.data<int32_t>()[i] = i % 7 - 3;
  for (bool descending : {false, true}) {
    const ValuesAndIndices r = sort(t, 0, descending);
    const int64_t* at = r.indices.data<int64_t>();
    for (int i = 1; i < 5000; ++i) {
      const int32_t a = r.values.data<int32_t>()[i - 1], b = r.values.data<int32_t>()[i];
      EXPECT_TRUE(a == b ? at[i - 1] < at[i] : (a < b) != descending);
    }
  }
}

}  // namespace
}  // namespace norch
