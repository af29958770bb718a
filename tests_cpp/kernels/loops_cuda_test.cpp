// The elementwise loops, through binary ops: all ways in which operands can lie in memory.
#include "cuda_testing.h"

namespace norch::testing {
namespace {

class CudaLoops : public CudaTest {};

/// op(a, b) on both devices.
template <class F>
void compare(const Tensor& a, const Tensor& b, const F& op) {
  expect_same(op(a.cuda(), b.cuda()), op(a, b));
}
const auto kAdd = [](const Tensor& a, const Tensor& b) { return add(a, b); };
const auto kMul = [](const Tensor& a, const Tensor& b) { return mul(a, b); };

/// The same view on a CUDA copy of `base`.
Tensor view_on_gpu(const Tensor& base, Ints sizes, Ints strides, int64_t offset) {
  return as_strided(base.cuda(), sizes, strides, offset);
}

TEST_F(CudaLoops, EveryDtypeAndLengthAroundTheVectorWidth) {
  for (DType t : all_dtypes()) {
    for (int64_t n : {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 63, 64, 65, 1000, 1023, 1025, 40000, 40001}) {
      SCOPED_TRACE(str(t, " n=", n));
      const Tensor a = numbers({n}, t, 1), b = numbers({n}, t, 2);
      compare(a, b, kMul);
      compare(a, b, [](const Tensor& x, const Tensor& y) { return eq(x, y); });
    }
  }
}

TEST_F(CudaLoops, LargeEnoughForBigBlocks) {
  const int64_t n = (int64_t{1} << 22) + 7;
  compare(numbers({n}, kFloat32, 1), numbers({n}, kFloat32, 2), kAdd);
  compare(numbers({n}, kFloat16, 1), numbers({n}, kFloat16, 2), kAdd);
  compare(numbers({n}, kUInt8, 1), numbers({n}, kUInt8, 2), kAdd);
}

TEST_F(CudaLoops, Broadcasting) {
  for (DType t : {kUInt8, kFloat16, kFloat32, kFloat64}) {
    SCOPED_TRACE(str(t));
    compare(numbers({64, 128}, t), numbers({128}, t, 2), kAdd);        // a row; whole vectors
    compare(numbers({64, 130}, t), numbers({130}, t, 2), kAdd);        // a row; rows end within a vector
    compare(numbers({64, 128}, t), numbers({64, 1}, t, 2), kAdd);      // a column: repeated along dim 0
    compare(numbers({5, 1, 48}, t), numbers({7, 1}, t, 2), kAdd);      // both
    compare(numbers({1}, t), numbers({3, 4, 5}, t, 2), kAdd);
    compare(numbers({}, t), numbers({3, 4, 5}, t, 2), kAdd);
    compare(numbers({}, t), numbers({}, t, 2), kAdd);
    compare(numbers({2, 3, 4, 5, 6, 7}, t), numbers({3, 1, 5, 1, 7}, t, 2), kAdd);
  }
}

TEST_F(CudaLoops, StridesAndOffsets) {
  for (DType t : {kInt8, kBFloat16, kFloat32, kInt64}) {
    SCOPED_TRACE(str(t));
    const Tensor base = numbers({100000}, t), other = numbers({100000}, t, 2);
    struct View {
      Shape sizes, strides;
      int64_t offset;
    };
    const View views[] = {
        {{1000}, {1}, 1},              // adjacent, not aligned
        {{1000}, {3}, 2},              // every third
        {{64, 48}, {100, 1}, 0},       // rows with gaps
        {{64, 48}, {1, 70}, 5},        // transposed
        {{16, 24, 32}, {1, 900, 17}, 3},
        {{8, 6, 4, 10}, {1, 9, 2000, 60}, 0},
        {{64, 48}, {0, 1}, 8},         // expanded
        {{64, 48}, {2, 0}, 1},
    };
    for (const View& v : views) {
      SCOPED_TRACE(str(v.sizes, " strides ", v.strides, " offset ", v.offset));
      const Tensor c = as_strided(base, v.sizes, v.strides, v.offset);
      const Tensor g = view_on_gpu(base, v.sizes, v.strides, v.offset);
      const Tensor dense = as_strided(other, v.sizes, contiguous_strides(v.sizes), 0);
      const Tensor dense_g = view_on_gpu(other, v.sizes, contiguous_strides(v.sizes), 0);
      expect_same(add(g, dense_g), add(c, dense));
      expect_same(mul(dense_g, g), mul(dense, c));
    }
  }
}

TEST_F(CudaLoops, InPlaceOnViews) {
  for (int64_t offset : {0, 1, 3}) {
    Tensor c = numbers({5000}, kFloat32), g = c.cuda();
    const Tensor b = numbers({40, 30}, kFloat32, 2);
    add_(as_strided(c, {40, 30}, {100, 1}, offset), b);
    add_(as_strided(g, {40, 30}, {100, 1}, offset), b.cuda());
    mul_(as_strided(c, {40, 30}, {1, 100}, offset), b);
    mul_(as_strided(g, {40, 30}, {1, 100}, offset), b.cuda());
    expect_same(g, c);  // what lies between the views is untouched
  }
}

TEST_F(CudaLoops, NumbersTravelAsArguments) {
  for (DType t : {kInt32, kFloat16, kFloat32, kFloat64}) {
    const Tensor x = numbers({33, 20}, t);
    const Tensor g = x.cuda();
    expect_same(g * 3, x * 3);
    expect_same(Scalar(2.5) - g, Scalar(2.5) - x);
    expect_same(transpose(g, 0, 1) + 7, transpose(x, 0, 1) + 7);
    expect_same(add(g, full({}, 5.0)), add(x, full({}, 5.0)));  // a 0-d CPU tensor counts too
    expect_same(add(g, g, 2), add(x, x, 2));
    expect_same(ne(g, Tensor::wrap(1)), ne(x, Tensor::wrap(1)));
  }
  // One that is 0-d on both sides, and the number first.
  expect_same(full({}, 2.0, TensorOptions(kCUDA)) * 4, full({}, 2.0) * 4);
  EXPECT_THROW(add(numbers({2}, kFloat32).cuda(), numbers({2}, kFloat32)), Error);
}

TEST_F(CudaLoops, BeyondThirtyTwoBits) {
  const int64_t n = (int64_t{1} << 31) + 100003;
  if (cuda::mem_get_info().free < static_cast<size_t>(n) * 5) GTEST_SKIP() << "not enough GPU memory";
  const TensorOptions bytes = TensorOptions(kUInt8).device(kCUDA);
  {
    Tensor x = full({n}, 3, bytes);
    fill_(as_strided(x, {5}, {1}, n - 5), 9);
    const Tensor y = add(x, x);
    for (int64_t at : {int64_t{0}, int64_t{1} << 30, n - 6}) {
      EXPECT_EQ(as_strided(y, {}, {}, at).item<int>(), 6) << at;
    }
    EXPECT_EQ(as_strided(y, {}, {}, n - 5).item<int>(), 18);
    EXPECT_EQ(as_strided(y, {}, {}, n - 1).item<int>(), 18);
  }
  {
    // Few elements, far apart: offsets beyond 32 bits.
    Tensor x = full({(int64_t{1} << 32) + 4096}, 1, bytes);
    Tensor far = as_strided(x, {3, 2}, {1, int64_t{1} << 32}, 1000);
    add_(far, Tensor::wrap(4));
    EXPECT_EQ(values(as_strided(x, {2, 4}, {int64_t{1} << 32, 1}, 999)),
              (std::vector<double>{1, 5, 5, 5, 1, 5, 5, 5}));
  }
}

TEST_F(CudaLoops, ManyDims) {
  // 14 dims that can't be merged: more than a walk holds.
  Shape sizes, strides;
  for (int i = 0; i < 14; ++i) {
    sizes.push_back(2);
    strides.push_back(int64_t{1} << (i * 5 % 14));
  }
  const Tensor base = numbers({1 << 14}, kFloat32);
  const Tensor c = as_strided(base, sizes, strides, 0);
  const Tensor g = view_on_gpu(base, sizes, strides, 0);
  expect_same(mul(g, g.contiguous()), mul(c, c.contiguous()));
}

}  // namespace
}  // namespace norch::testing
