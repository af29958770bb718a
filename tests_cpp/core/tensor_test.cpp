// Tensor as a handle: what an undefined one does.
#include <norch/norch.h>

#include "error_text.h"

using namespace norch;

namespace {

const char kUndefined[] = "expected a tensor, but this one is undefined";

TEST(UndefinedTensor, SaysSoWhateverItIsAsked) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_EQ(none.impl(), nullptr);
  EXPECT_TRUE(none.is_same(Tensor()));
  EXPECT_ERROR(Error, none.sizes(), kUndefined);
  EXPECT_ERROR(Error, none.size(0), kUndefined);
  EXPECT_ERROR(Error, none.dtype(), kUndefined);
  EXPECT_ERROR(Error, none.device(), kUndefined);
  EXPECT_ERROR(Error, none.data<float>(), kUndefined);
  EXPECT_ERROR(Error, none.item(), kUndefined);
  EXPECT_ERROR(Error, none.requires_grad(), kUndefined);
  EXPECT_ERROR(Error, none.requires_grad_(false), kUndefined);
  EXPECT_ERROR(Error, none.grad(), kUndefined);
  EXPECT_ERROR(Error, none.set_grad({}), kUndefined);
  EXPECT_ERROR(Error, none.backward(), "undefined");
  EXPECT_ERROR(Error, none.detach(), kUndefined);
  EXPECT_ERROR(Error, none.data_alias(), kUndefined);
  EXPECT_ERROR(Error, none.to(kFloat64), kUndefined);
  EXPECT_ERROR(Error, none.clone(), kUndefined);
}

TEST(UndefinedTensor, IsNoOperand) {
  const Tensor none, x = ones({2});
  EXPECT_ERROR(Error, x + none, kUndefined);
  EXPECT_ERROR(Error, none * 2, kUndefined);
  EXPECT_ERROR(Error, relu(none), kUndefined);
  EXPECT_ERROR(Error, sum(none), kUndefined);
  EXPECT_ERROR(Error, matmul(x, none), kUndefined);
  EXPECT_ERROR(Error, cat({x, none}), "cat(): tensor 1 is undefined");
  EXPECT_ERROR(Error, add_(x, none), kUndefined);
  EXPECT_ERROR(Error, squeeze_(none), kUndefined);
  EXPECT_TRUE(equal(x, ones({2})));
}

}  // namespace
