#include "cuda_testing.h"

namespace norch {
namespace {

using testing::CudaTest;

class ComplexCuda : public CudaTest {};

Tensor complex_numbers(Ints sizes, uint32_t seed, DType t) {
  const DType part = to_real(t);
  return complex(testing::numbers(sizes, part, seed) + 0.3, testing::numbers(sizes, part, seed + 1) + 0.4);
}

/// Whether both are the same up to rounding.
bool agree(const Tensor& on_gpu, const Tensor& on_cpu) {
  const Tensor x = on_gpu.cpu();
  if (x.dtype() != on_cpu.dtype() || x.sizes() != on_cpu.sizes()) return false;
  const bool single = to_real(x.dtype()) == kFloat32;
  return is_differentiable(x.dtype()) ? allclose(x, on_cpu, single ? 1e-4 : 1e-10, single ? 1e-5 : 1e-12)
                                      : equal(x, on_cpu);
}

TEST_F(ComplexCuda, OpsAgreeWithTheCpu) {
  using One = Tensor (*)(const Tensor&);
  for (DType t : {kComplex64, kComplex128}) {
    const Tensor a = complex_numbers({37, 20}, 1, t), b = complex_numbers({37, 20}, 3, t);
    const Tensor x = a.cuda(), y = b.cuda();
    for (One f : std::vector<One>{&acos, &asin, &atan, &acosh, &asinh, &atanh, &cos, &sin, &tan, &exp, &log, &sqrt, &rsqrt,
                                  &expm1, &log1p, &reciprocal, &neg, &sgn, &abs, &angle, &isnan, &isfinite})
      EXPECT_TRUE(agree(f(x), f(a)));
    EXPECT_TRUE(agree(x + y, a + b));
    EXPECT_TRUE(agree(sub(x, y, Scalar(Complex<double>(1, 2))), sub(a, b, Scalar(Complex<double>(1, 2)))));
    EXPECT_TRUE(agree(x * transpose(transpose(y, 0, 1).contiguous(), 0, 1), a * b));
    EXPECT_TRUE(agree(x / y, a / b));
    EXPECT_TRUE(agree(pow(x, y), pow(a, b)));
    EXPECT_TRUE(agree(eq(x, y), eq(a, b)));
    EXPECT_TRUE(agree(matmul(x, transpose(y, 0, 1)), matmul(a, transpose(b, 0, 1))));
    EXPECT_TRUE(agree(sum(x, {0}), sum(a, {0})));
    EXPECT_TRUE(agree(prod(x.cuda(), {1}), prod(a, {1})));
    EXPECT_TRUE(agree(transpose(x, 0, 1).contiguous(), transpose(a, 0, 1).contiguous()));
    EXPECT_TRUE(agree(conj(x) * 2.0, conj(a) * 2.0));
  }
}

TEST_F(ComplexCuda, FunctionsOfSmallAndLargeNumbersAgreeWithTheCpu) {
  using One = Tensor (*)(const Tensor&);
  for (DType t : {kComplex64, kComplex128})
    for (double scale : {-1e5, -30.0, -1.0, 1e-3, 1e5}) {
      const Tensor a = complex_numbers({37, 20}, 5, t) * scale;
      for (One f : std::vector<One>{&acos, &asin, &atan, &acosh, &asinh, &atanh, &sqrt, &tan, &tanh})
        EXPECT_TRUE(agree(f(a.cuda()), f(a)));
    }
}

TEST_F(ComplexCuda, ConversionsAgreeWithTheCpu) {
  for (int i = 0; i < kNumDTypes; ++i) {
    for (int j = 0; j < kNumDTypes; ++j) {
      const DType from = static_cast<DType>(i), to = static_cast<DType>(j);
      const Tensor a = testing::numbers({50}, kUInt8, 1).to(from);
      EXPECT_TRUE(agree(a.cuda().to(to), a.to(to))) << name(from) << " " << name(to);
    }
  }
}

TEST_F(ComplexCuda, WideUnsignedOpsAgreeWithTheCpu) {
  for (DType t : {kUInt16, kUInt32, kUInt64}) {
    const Tensor a = testing::numbers({100}, kUInt8, 1).to(t) * 200, b = testing::numbers({100}, kUInt8, 2).to(t) + 1;
    const Tensor x = a.cuda(), y = b.cuda();
    EXPECT_TRUE(agree(x + y, a + b));
    EXPECT_TRUE(agree(x * y, a * b));
    EXPECT_TRUE(agree(floor_divide(x, y), floor_divide(a, b)));
    EXPECT_TRUE(agree(remainder(x, y), remainder(a, b)));
    EXPECT_TRUE(agree(maximum(x, y), maximum(a, b)));
    EXPECT_TRUE(agree(lt(x, y), lt(a, b)));
    EXPECT_TRUE(agree(amax(x), amax(a)));
    EXPECT_TRUE(agree(sum(x), sum(a)));
  }
}

}  // namespace
}  // namespace norch
