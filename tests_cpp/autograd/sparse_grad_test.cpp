// Sparse gradients: what lookups give their table, how they add up, and what takes them.
#include "norch/sparse.h"

#include <gtest/gtest.h>

#include "norch/autograd.h"
#include "norch/ops.h"
#include "norch/optim.h"

namespace norch {
namespace {

Tensor indices(std::initializer_list<int64_t> values) {
  Tensor t = empty({static_cast<int64_t>(values.size())}, kInt64);
  std::copy(values.begin(), values.end(), t.data<int64_t>());
  return t;
}

Tensor table() { return arange(0.0, 8.0, 1.0, kFloat32).clone().requires_grad_(); }

Tensor looked_up(const Tensor& w, bool sparse) {
  return embedding(indices({2, 0, 2}), reshape(w, {4, 2}), {}, false, sparse);
}

TEST(SparseGradient, OfALeaf) {
  const Tensor w = reshape(table().detach(), {4, 2}).clone().requires_grad_();
  sum(embedding(indices({2, 0, 2}), w, {}, false, true)).backward();
  const SparseParts* parts = sparse_parts(w.grad());
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->indices.sizes(), Ints({1, 3}));
  EXPECT_FALSE(parts->coalesced);
  const Tensor joined = coalesce(w.grad());
  EXPECT_EQ(sparse_parts(joined)->values.sizes(), Ints({2, 2}));
  const Tensor dense = to_dense(w.grad());
  EXPECT_FALSE(sparse_parts(dense));
  EXPECT_EQ(sum(dense).item<float>(), 6);
  EXPECT_TRUE(equal(dense, to_dense(joined)));
  sum(embedding(indices({1}), w)).backward();  // a dense one makes it dense
  EXPECT_FALSE(sparse_parts(w.grad()));
  EXPECT_EQ(sum(w.grad()).item<float>(), 8);
}

TEST(SparseGradient, ThroughAnotherOp) {
  const Tensor w = table();
  sum(looked_up(w, true)).backward();
  const Tensor v = table();
  sum(looked_up(v, false)).backward();
  EXPECT_FALSE(sparse_parts(w.grad()));
  EXPECT_TRUE(equal(w.grad(), v.grad()));
}

TEST(SparseGradient, Sgd) {
  const Tensor w = zeros({4, 2}).requires_grad_();
  optim::SGD sgd({w}, optim::SgdOptions().lr(0.5));
  sum(embedding(indices({2, 0, 2}), w, {}, false, true)).backward();
  sgd.step();
  EXPECT_EQ(select(select(w.detach(), 0, 2), 0, 0).item<float>(), -1);
  EXPECT_EQ(sum(w.detach()).item<float>(), -3);
  optim::Adam adam({w}, optim::AdamOptions());
  EXPECT_THROW(adam.step(), Error);
  EXPECT_THROW(optim::clip_grad_norm_({w.grad()}, 1.0), NotImplementedError);
  sgd.zero_grad(false);
  EXPECT_EQ(sparse_parts(w.grad())->values.numel(), 0);
}

TEST(SparseGradient, Refuses) {
  EXPECT_THROW(make_sparse(zeros({1, 2}), zeros({2, 3}), {4, 3}), Error);                        // float indices
  EXPECT_THROW(make_sparse(zeros({1, 2}, kInt64), zeros({3, 3}), {4, 3}), Error);                // more values
  EXPECT_THROW(make_sparse(zeros({1, 2}, kInt64), zeros({2, 3}), {4, 4}), Error);                // other rows
  EXPECT_THROW(make_sparse(zeros({3, 2}, kInt64), zeros({2}), {4, 4}), Error);                   // more dims
  EXPECT_THROW(coalesce(zeros({2})), Error);
  EXPECT_TRUE(equal(to_dense(make_sparse(zeros({2, 0}, kInt64), zeros({0}), {2, 2})), zeros({2, 2})));
}

}  // namespace
}  // namespace norch
