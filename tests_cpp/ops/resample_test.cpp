#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::message;
using testing::numbers;

Tensor row(std::initializer_list<double> values) {
  Tensor t = empty({1, 1, static_cast<int64_t>(values.size())}, TensorOptions(kFloat64));
  std::copy(values.begin(), values.end(), t.data<double>());
  return t;
}

TEST(Interpolate, Values) {
  const Tensor x = row({0, 4, 8});
  EXPECT_EQ(max_difference(interpolate(x, {6}), row({0, 0, 4, 4, 8, 8})), 0);
  EXPECT_EQ(max_difference(interpolate(x, {2}, {}, "linear"), row({1, 7})), 0);
  EXPECT_LT(max_difference(interpolate(x, {}, {2.0}, "linear", true), row({0, 1.6, 3.2, 4.8, 6.4, 8})), 1e-12);
  EXPECT_EQ(max_difference(interpolate(x, {1}, {}, "area"), row({4})), 0);
  // Antialiasing keeps the mean of an image that is halved.
  const Tensor image = numbers({1, 2, 8, 8});
  EXPECT_LT(max_difference(mean(interpolate(image, {4, 4}, {}, "bilinear", {}, {}, true), {2, 3}), mean(image, {2, 3})),
            0.2);
}

TEST(Interpolate, Gradients) {
  for (const char* mode : {"nearest", "bilinear", "bicubic"})
    for (int64_t size : {2, 5})
      check_gradients([&](const TensorList& t) { return interpolate(t[0] * t[0], {size, 3}, {}, mode); },
                      {numbers({1, 2, 3, 4})});
}

TEST(Interpolate, SameOnAllFloats) {
  const Tensor x = numbers({2, 3, 5, 7}, kFloat32);
  const Tensor wanted = interpolate(x, {9, 4}, {}, "bicubic");
  EXPECT_LT(max_difference(interpolate(x.to(kFloat64), {9, 4}, {}, "bicubic"), wanted), 1e-5);
  EXPECT_LT(max_difference(interpolate(x.to(kBFloat16), {9, 4}, {}, "bicubic"), wanted), 3e-2);
}

TEST(GridSample, IdentityGridGivesTheImage) {
  const Tensor image = numbers({2, 3, 4, 5}), theta = zeros({2, 2, 3}, TensorOptions(kFloat64));
  theta.data<double>()[0] = theta.data<double>()[4] = theta.data<double>()[6] = theta.data<double>()[10] = 1;
  for (bool align : {false, true})
    EXPECT_LT(max_difference(grid_sample(image, affine_grid(theta, image.sizes(), align), "bilinear", "zeros", align), image),
              1e-12);
}

TEST(Unpool, ReversesMaxPool) {
  const Tensor x = numbers({1, 2, 4, 4, 4});
  const auto [y, places] = max_pool3d_with_indices(x, {2});
  const Tensor back = max_unpool3d(y, places, {4, 4, 4});
  EXPECT_EQ(max_difference(max_pool3d_with_indices(clamp_min(back, Tensor::wrap(-1)), {2}).first, clamp_min(y, Tensor::wrap(0))), 0);
}

TEST(Attention, RowsThatSeeNothingAreZero) {
  const Tensor q = numbers({1, 2, 3}), mask = full({2, 2}, false, TensorOptions(kBool));
  EXPECT_EQ(max_difference(scaled_dot_product_attention(q, q, q, mask), zeros({1, 2, 3}, TensorOptions(kFloat64))), 0);
  EXPECT_EQ(message([&] { scaled_dot_product_attention(q, q, q, mask, 0, true); }),
            "scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True");
}

TEST(MemoryFormat, Strides) {
  const Tensor x = numbers({2, 3, 4, 5}), y = x.contiguous(MemoryFormat::channels_last);
  EXPECT_EQ(Shape(y.strides()), Shape({60, 1, 15, 3}));
  EXPECT_EQ(max_difference(x, y), 0);
  EXPECT_EQ(Shape(exp(y).strides()), Shape(y.strides()));
  EXPECT_EQ(Shape(y.to(kFloat32).strides()), Shape(y.strides()));
  EXPECT_EQ(Shape(format_strides({2, 1, 3}, MemoryFormat::preserve, {3, 3, 2})), Shape({3, 3, 1}));
  EXPECT_TRUE(is_dense({2, 3}, {1, 2}));
  EXPECT_FALSE(is_dense({2, 3}, {6, 2}));
}

}  // namespace
}  // namespace norch
