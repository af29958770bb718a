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

TEST(Pad, Modes) {
  const Tensor x = row({1, 2, 3});
  EXPECT_EQ(max_difference(pad(x, {2, 1}, PaddingMode::constant, 7), row({7, 7, 1, 2, 3, 7})), 0);
  EXPECT_EQ(max_difference(pad(x, {2, 1}, PaddingMode::reflect), row({3, 2, 1, 2, 3, 2})), 0);
  EXPECT_EQ(max_difference(pad(x, {2, 1}, PaddingMode::replicate), row({1, 1, 1, 2, 3, 3})), 0);
  EXPECT_EQ(max_difference(pad(x, {2, 1}, PaddingMode::circular), row({2, 3, 1, 2, 3, 1})), 0);
  EXPECT_EQ(max_difference(pad(x, {-1, 2}), row({2, 3, 0, 0})), 0);
  EXPECT_EQ(max_difference(pad(x, {-1, 1}, PaddingMode::reflect), row({2, 3, 2})), 0);
  EXPECT_EQ(Shape(pad(zeros({2, 3}), {1, 2, 3, 4}).sizes()), Shape({9, 6}));
}

TEST(Pad, Gradients) {
  for (PaddingMode mode : {PaddingMode::constant, PaddingMode::reflect, PaddingMode::replicate, PaddingMode::circular}) {
    check_gradients([mode](const TensorList& t) { return pad(t[0] * t[0], {2, 1, 1, 2}, mode); }, {numbers({1, 2, 3, 4})});
    check_gradients([mode](const TensorList& t) { return pad(t[0], {-1, 2}, mode); }, {numbers({2, 4})});
  }
}

TEST(Pad, Errors) {
  EXPECT_EQ(message([] { pad(zeros({2}), {1}); }), "pad: Padding length must be divisible by 2, got [1]");
  EXPECT_EQ(message([] { pad(zeros({1, 2}), {-1, -2}); }),
            "pad: The input size 2, plus negative padding -1 and -2, resulted in a negative output size, which is invalid. "
            "Check dimension 1 of your input.");
  EXPECT_EQ(message([] { pad(zeros({1, 3}), {3, 0}, PaddingMode::reflect); }),
            "pad: Padding size should be less than the corresponding input dimension, but got: padding (3, 0) at dimension 1 "
            "of input [1, 3]");
}

TEST(Fold, UnfoldTimesWeightIsConvolution) {
  const Tensor x = numbers({2, 3, 7, 6}), w = numbers({4, 3, 3, 2}, kFloat64, 2);
  const Tensor columns = im2col(x, {3, 2}, {2, 1}, {1, 2}, {2, 1});
  const Tensor y = conv2d(x, w, {}, {2, 1}, {1, 2}, {2, 1});
  EXPECT_LE(max_difference(reshape(matmul(reshape(w, {4, 18}), columns), y.sizes()), y), 1e-13);
}

TEST(Fold, IsTheAdjointOfUnfold) {
  const Tensor x = numbers({2, 3, 7, 6}), columns = im2col(x, {3, 2}, {1}, {1}, {2});
  const Tensor g = numbers(columns.sizes(), kFloat64, 3);
  const double left = sum(columns * g).item<double>();
  const double right = sum(x * col2im(g, {7, 6}, {3, 2}, {1}, {1}, {2})).item<double>();
  EXPECT_NEAR(left, right, 1e-12);
  check_gradients([](const TensorList& t) { return im2col(t[0] * t[0], {2}, {1}, {1}); }, {numbers({1, 2, 3, 4})});
  check_gradients([](const TensorList& t) { return col2im(t[0] * t[0], {3, 4}, {2}); }, {numbers({8, 6})});
  EXPECT_THROW(im2col(zeros({1, 1, 2, 2}), {3}), Error);
  EXPECT_THROW(col2im(zeros({1, 3, 4}), {3, 3}, {2}), Error);
}

}  // namespace
}  // namespace norch
