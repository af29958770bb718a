// Copies on the GPU and to and from it.
#include "cuda_testing.h"

#include "core/cuda_runtime.h"

namespace norch::testing {
namespace {

class CudaCopy : public CudaTest {};

TEST_F(CudaCopy, EveryPairOfDtypes) {
  for (DType from : all_dtypes()) {
    const Tensor x = numbers({7, 31}, from);
    const Tensor g = x.cuda();
    for (DType to : all_dtypes()) {
      SCOPED_TRACE(str(from, " to ", to));
      expect_same(g.to(to), x.to(to));
      expect_same(transpose(g, 0, 1).to(to), transpose(x, 0, 1).to(to));
    }
  }
}

TEST_F(CudaCopy, SpecialFloats) {
  const float inf = HUGE_VALF;
  Tensor x = new_tensor({8}, kFloat32, kCPU);
  const float v[8] = {NAN, inf, -inf, -0.0f, 1e-8f, 65520.0f, 3.4e38f, 5.9604645e-8f};
  std::memcpy(x.data_ptr(), v, sizeof v);
  for (DType t : {kFloat16, kBFloat16, kFloat64, kBool}) expect_same(x.cuda().to(t), x.to(t));
  expect_same(x.cuda().to(kFloat16).to(kFloat32), x.to(kFloat16).to(kFloat32));
}

TEST_F(CudaCopy, Transposes) {
  const Shape shapes[] = {{64, 64}, {33, 65}, {128, 256}, {130, 258}, {16, 1000}, {1000, 17}, {3, 1000}, {257, 513}};
  for (DType t : {kUInt8, kFloat16, kFloat32, kFloat64}) {
    for (const Shape& s : shapes) {
      SCOPED_TRACE(str(t, s));
      const Tensor x = numbers(s, t);
      expect_same(transpose(x.cuda(), 0, 1).contiguous(), transpose(x, 0, 1).contiguous());
    }
    const Tensor x = numbers({5, 36, 24, 20}, t);
    const Tensor g = x.cuda();
    for (int a = 0; a < 4; ++a)
      for (int b = a + 1; b < 4; ++b) {
        SCOPED_TRACE(str(t, " dims ", a, " ", b));
        expect_same(transpose(g, a, b).contiguous(), transpose(x, a, b).contiguous());
        expect_same(transpose(transpose(g, a, b), 0, 3).contiguous(), transpose(transpose(x, a, b), 0, 3).contiguous());
      }
  }
}

TEST_F(CudaCopy, TransposesOfViewsThatAreNotAligned) {
  for (DType t : {kInt8, kBFloat16, kFloat32}) {
    for (int64_t offset : {0, 1, 2}) {
      for (int64_t pitch : {80, 81}) {
        SCOPED_TRACE(str(t, " offset ", offset, " pitch ", pitch));
        const Tensor base = numbers({100 * 81}, t);
        const Tensor c = as_strided(base, {64, 96}, {1, pitch}, offset);
        expect_same(as_strided(base.cuda(), {64, 96}, {1, pitch}, offset).contiguous(), c.contiguous());
        // Written transposed, with gaps that must stay.
        Tensor dst = numbers({100 * 81}, t, 5), dst_g = dst.cuda();
        const Tensor src = numbers({64, 96}, t, 9);
        copy_into(as_strided(dst, {64, 96}, {1, pitch}, offset), src);
        copy_into(as_strided(dst_g, {64, 96}, {1, pitch}, offset), src.cuda());
        expect_same(dst_g, dst);
      }
    }
  }
}

TEST_F(CudaCopy, Fill) {
  for (DType t : all_dtypes()) {
    SCOPED_TRACE(str(t));
    Tensor c = numbers({1003}, t), g = c.cuda();
    fill_(as_strided(c, {100, 3}, {10, 2}, 1), 5);
    fill_(as_strided(g, {100, 3}, {10, 2}, 1), 5);
    expect_same(g, c);
    expect_same(full({1001}, 1.5, TensorOptions(t).device(kCUDA)), full({1001}, 1.5, TensorOptions(t)));
  }
  const Tensor x = zeros({4}, TensorOptions(kCUDA));
  copy_(x, full({}, 2.0));  // a number is a fill
  expect_same(x, full({4}, 2.0));
  expect_same(zeros({0, 3}, TensorOptions(kCUDA)), zeros({0, 3}));
}

TEST_F(CudaCopy, RoundTrips) {
  for (int64_t n : {0, 1, 255, 65536, 65537, 300000, 10 << 20}) {
    const Tensor x = numbers({n}, kUInt8);
    expect_same(x.cuda(), x);
  }
  const Tensor x = numbers({40, 50}, kFloat32);
  expect_same(transpose(x, 0, 1).cuda(), transpose(x, 0, 1));
  const Tensor back = transpose(x.cuda(), 0, 1).cpu();
  EXPECT_EQ(values(back), values(transpose(x, 0, 1)));
}

TEST_F(CudaCopy, TheSourceMayBeReusedAtOnce) {
  // More small copies than the staging ring holds, each from the same host buffer.
  for (size_t nbytes : {size_t{4}, size_t{60000}, size_t{200000}}) {
    const int copies = 300;
    const int64_t n = static_cast<int64_t>(nbytes / 4);
    Tensor all = new_tensor({copies, n}, kInt32, kCUDA.resolve());
    std::vector<int32_t> host(static_cast<size_t>(n));
    for (int i = 0; i < copies; ++i) {
      std::fill(host.begin(), host.end(), i);
      cuda::copy_from_host(static_cast<char*>(all.data_ptr()) + static_cast<size_t>(i) * nbytes, host.data(), nbytes, 0);
    }
    const std::vector<double> v = values(all);
    for (int i = 0; i < copies; ++i) {
      ASSERT_EQ(v[static_cast<size_t>(i * n)], i);
      ASSERT_EQ(v[static_cast<size_t>(i * n + n - 1)], i);
    }
  }
}

TEST_F(CudaCopy, GradientsCrossDevices) {
  Tensor x = numbers({3}, kFloat32).requires_grad_();
  Tensor y = x.cuda() * 2;
  sum(y * y).backward();
  EXPECT_TRUE(x.grad().is_cpu());
  EXPECT_EQ(values(x.grad()), values(x.detach() * 8));
}

}  // namespace
}  // namespace norch::testing
