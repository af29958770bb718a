#include "norch/print.h"

#include <gtest/gtest.h>

#include <cmath>

#include "norch/norch.h"

namespace norch {
namespace {

Tensor of(std::initializer_list<float> values) {
  Tensor t = empty({static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t.data<float>());
  return t;
}

// The expected texts are what PyTorch 2.13 prints.
TEST(Print, ChoosesTheNotation) {
  EXPECT_EQ(to_string(of({1, 2, 3})), "tensor([1., 2., 3.])");
  EXPECT_EQ(to_string(of({1.5f, 20, -3})), "tensor([ 1.5000, 20.0000, -3.0000])");
  EXPECT_EQ(to_string(of({1.5f, 2e-5f, 3e7f})), "tensor([1.5000e+00, 2.0000e-05, 3.0000e+07])");
  EXPECT_EQ(to_string(of({NAN, 1, INFINITY})), "tensor([nan, 1., inf])");
  EXPECT_EQ(to_string(full({}, 3.25)), "tensor(3.2500)");
}

TEST(Print, NamesWhatIsNotTheDefault) {
  EXPECT_EQ(to_string(full({2}, 1, kFloat64)), "tensor([1., 1.], dtype=norch.float64)");
  EXPECT_EQ(to_string(full({2}, 7)), "tensor([7, 7])");
  EXPECT_EQ(to_string(full({1}, true)), "tensor([True])");
  EXPECT_EQ(to_string(empty({0})), "tensor([])");
  EXPECT_EQ(to_string(empty({2, 0}, kInt64)), "tensor([], size=(2, 0), dtype=norch.int64)");
  Tensor x = of({1, 2}).requires_grad_();
  EXPECT_EQ(to_string(x), "tensor([1., 2.], requires_grad=True)");
  EXPECT_EQ(to_string(x * x), "tensor([1., 4.], grad_fn=<MulBackward0>)");
}

TEST(Print, SummarisesLongTensors) {
  EXPECT_EQ(to_string(zeros({1001})), "tensor([0., 0., 0.,  ..., 0., 0., 0.])");
  const std::string text = to_string(zeros({50, 50}));
  EXPECT_EQ(text,
            "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        ...,\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.]])");
}

}  // namespace
}  // namespace norch
