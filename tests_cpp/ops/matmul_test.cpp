#include <array>
#include <cmath>

#include "kernels/cpu/parallel.h"
#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::message;
using testing::numbers;

/// a @ b of matrices by definition, in double.
Tensor reference(const Tensor& a, const Tensor& b) {
  const Tensor x = a.detach().to(kFloat64).contiguous(), y = b.detach().to(kFloat64).contiguous();
  const int64_t m = x.size(0), k = x.size(1), n = y.size(1);
  Tensor out = zeros({m, n}, TensorOptions(kFloat64));
  const double *p = x.data<double>(), *q = y.data<double>();
  double* c = out.data<double>();
  for (int64_t i = 0; i < m; ++i)
    for (int64_t l = 0; l < k; ++l)
      for (int64_t j = 0; j < n; ++j) c[i * n + j] += p[i * k + l] * q[l * n + j];
  return out;
}

TEST(Matmul, AgreesWithTheDefinitionInEveryLayoutAndDtype) {
  for (DType t : {kFloat64, kFloat32, kFloat16, kBFloat16, kInt32, kUInt8, kInt64}) {
    const double tolerance = t == kFloat64 ? 1e-12 : t == kFloat32 ? 2e-5 : t == kFloat16 ? 2e-2 : t == kBFloat16 ? 0.2 : 0;
    for (auto [m, k, n] : {std::array<int64_t, 3>{1, 1, 10}, {10, 1, 1}, {3, 5, 4}, {33, 70, 65}, {1, 300, 40},
                           {40, 300, 1}, {1, 70000, 1}, {130, 128, 140}, {34, 1100, 70}}) {
      for (int layout = 0; layout < 9; ++layout) {
        auto matrix = [&](int64_t rows, int64_t cols, int how, int64_t seed) {
          const DType from = t == kUInt8 ? kInt32 : t;
          if (how == 0) return numbers({rows, cols}, from, seed).to(t);
          if (how == 1) return transpose(numbers({cols, rows}, from, seed).to(t), 0, 1);
          return as_strided(numbers({rows * 2 * (cols + 3)}, from, seed).to(t), {rows, cols}, {2 * (cols + 3), 1}, 0);
        };
        const Tensor a = matrix(m, k, layout % 3, 3), b = matrix(k, n, layout / 3, 4);
        const Tensor got = mm(a, b);
        EXPECT_EQ(got.dtype(), t);
        if (t == kUInt8)
          EXPECT_EQ(max_difference(got, reference(a, b).to(kInt64).to(kUInt8)), 0) << m << " " << k << " " << n;
        else
          EXPECT_LE(max_difference(got, reference(a, b)), tolerance * std::sqrt(static_cast<double>(k)))
              << name(t) << " " << m << " " << k << " " << n << " layout " << layout;
      }
    }
  }
}

TEST(Matmul, SixteenBitResultsAreRoundedOnce) {
  const Tensor a = numbers({40, 50}, kFloat16, 1), b = numbers({50, 60}, kFloat16, 2);
  EXPECT_EQ(max_difference(mm(a, b), mm(a.to(kFloat32), b.to(kFloat32)).to(kFloat16)), 0);
}

TEST(Matmul, ShapesOfAllKinds) {
  auto shape = [](Ints a, Ints b) { return Shape(matmul(numbers(a), numbers(b)).sizes()); };
  EXPECT_EQ(shape({3}, {3}), Shape({}));
  EXPECT_EQ(shape({2, 3}, {3}), Shape({2}));
  EXPECT_EQ(shape({3}, {3, 4}), Shape({4}));
  EXPECT_EQ(shape({5, 2, 3}, {3}), Shape({5, 2}));
  EXPECT_EQ(shape({3}, {5, 3, 2}), Shape({5, 2}));
  EXPECT_EQ(shape({5, 2, 3}, {3, 4}), Shape({5, 2, 4}));
  EXPECT_EQ(shape({2, 3}, {5, 3, 4}), Shape({5, 2, 4}));
  EXPECT_EQ(shape({6, 1, 2, 3}, {5, 3, 4}), Shape({6, 5, 2, 4}));
  EXPECT_EQ(shape({0, 3}, {3, 4}), Shape({0, 4}));
  EXPECT_EQ(shape({5, 0, 3}, {3, 4}), Shape({5, 0, 4}));
  EXPECT_EQ(shape({0, 2, 3}, {0, 3, 4}), Shape({0, 2, 4}));
  EXPECT_EQ(max_difference(matmul(numbers({2, 0}), numbers({0, 3})), zeros({2, 3}, TensorOptions(kFloat64))), 0);
}

TEST(Matmul, BroadcastBatches) {
  const Tensor a = numbers({6, 1, 2, 3}), b = numbers({5, 3, 4}, kFloat64, 2);
  const Tensor out = matmul(a, b);
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 5; ++j) {
      const Tensor x = as_strided(a, {2, 3}, {3, 1}, i * 6), y = as_strided(b, {3, 4}, {4, 1}, j * 12);
      EXPECT_LE(max_difference(as_strided(out, {2, 4}, {4, 1}, (i * 5 + j) * 8), reference(x, y)), 1e-14);
    }
  }
}

TEST(Matmul, Gradients) {
  for (auto [a, b] : {std::pair<Shape, Shape>{{3, 4}, {4, 2}}, {{4}, {4}}, {{3, 4}, {4}}, {{4}, {4, 2}},
                      {{2, 3, 4}, {4, 2}}, {{3, 4}, {2, 4, 3}}, {{2, 1, 3, 4}, {3, 4, 2}}, {{2, 3, 4}, {4}}})
    check_gradients([](const TensorList& x) { return matmul(x[0], x[1]); }, {numbers(a), numbers(b, kFloat64, 5)});
  check_gradients([](const TensorList& x) { return mm(transpose(x[0], 0, 1), transpose(x[1], 0, 1)); },
                  {numbers({4, 3}), numbers({2, 4})});
  check_gradients([](const TensorList& x) { return addmm(x[0], x[1], x[2], 0.5, -2.0); },
                  {numbers({4}), numbers({3, 2}), numbers({2, 4})});
  check_gradients([](const TensorList& x) { return addmm(x[0], x[1], x[2]); },
                  {numbers({4}), numbers({3, 2}), numbers({2, 4})});
  check_gradients([](const TensorList& x) { return addbmm(x[0], x[1], x[2], 2, 3); },
                  {numbers({3, 4}), numbers({5, 3, 2}), numbers({5, 2, 4})});
  check_gradients([](const TensorList& x) { return linear(x[0], x[1], x[2]); },
                  {numbers({2, 3, 4}), numbers({5, 4}), numbers({5})});
  check_gradients([](const TensorList& x) { return linear(x[0], x[1]); }, {numbers({4}), numbers({5, 4})});
  check_gradients([](const TensorList& x) { return bilinear(x[0], x[1], x[2], x[3]); },
                  {numbers({3, 2}), numbers({3, 4}), numbers({5, 2, 4}), numbers({5})});
}

TEST(Matmul, ScaledForms) {
  const Tensor c = numbers({3, 4}), a = numbers({3, 5}, kFloat64, 2), b = numbers({5, 4}, kFloat64, 3);
  EXPECT_LE(max_difference(addmm(c, a, b, 0.5, 2.0), c * 0.5 + reference(a, b) * 2.0), 1e-14);
  const Tensor nan = full({3, 4}, std::nan(""), TensorOptions(kFloat64));
  EXPECT_LE(max_difference(addmm(nan, a, b, 0, 1), reference(a, b)), 1e-14);
  Tensor d = c.clone();
  addmm_(d, a, b, 1, 2);
  EXPECT_LE(max_difference(d, c + reference(a, b) * 2.0), 1e-14);
  // Factors of integers lose their fraction.
  const Tensor one = ones({2, 2}, kInt64);
  EXPECT_EQ(max_difference(addmm(one, one, one, 1, 1.7), one * 3), 0);
}

TEST(Matmul, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(message([] { mm(zeros({2, 3}), zeros({4, 5})); }),
            "mm: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)");
  EXPECT_EQ(message([] { mm(zeros({2, 3}), zeros({3, 5}, kFloat64)); }),
            "mm: expected m1 and m2 to have the same dtype, but got: float != double");
  EXPECT_EQ(message([] { bmm(zeros({2, 3, 4}), zeros({3, 4, 2})); }),
            "bmm: Expected size for first two dimensions of batch2 tensor to be: [2, 4] but got: [3, 4].");
  EXPECT_EQ(message([] { matmul(zeros({}), zeros({2})); }),
            "matmul: both arguments to matmul need to be at least 1D, but they are 0D and 1D");
  EXPECT_EQ(message([] { linear(zeros({2, 3}), zeros({4, 5})); }),
            "linear: mat1 and mat2 shapes cannot be multiplied (2x3 and 5x4): input has shape [2, 3], weight [4, 5]");
  EXPECT_THROW(mm(zeros({2, 2}, kBool), zeros({2, 2}, kBool)), NotImplementedError);
}

TEST(Matmul, SameBitsAtAnyNumberOfThreads) {
  const int before = kernels::cpu::num_threads();
  for (auto [m, k, n] : {std::array<int64_t, 3>{64, 784, 256}, {300, 310, 290}, {700, 600, 500}, {1, 5000, 3000}}) {
    const Tensor a = numbers({m, k}, kFloat32), b = numbers({k, n}, kFloat32, 2);
    kernels::cpu::set_num_threads(1);
    const Tensor one = mm(a, b);
    for (int threads : {2, 3, 7}) {
      kernels::cpu::set_num_threads(threads);
      EXPECT_EQ(max_difference(one, mm(a, b)), 0);
    }
  }
  kernels::cpu::set_num_threads(before);
}

}  // namespace
}  // namespace norch
