// Products of float32 matrices by the kernel that a GPU of compute capability 9.0 has.
#include "kernels/sm90a_testing.h"

#include "kernels/cuda/matmul_float.h"

namespace norch::testing {
namespace {

using kernels::Gemm;
using kernels::MatrixRef;
namespace own = kernels::cuda;

const TensorOptions kOnGpu = TensorOptions(kFloat32).device(kCUDA);

/// The same matrices, with rows (or, `across`, columns) apart by a multiple of four numbers, NaN in between.
Tensor laid_out(const Tensor& x, bool across) {
  const int64_t rows = x.size(-2), columns = x.size(-1), length = across ? rows : columns;
  const Tensor room = full({x.size(0), across ? columns : rows, (length + 3) / 4 * 4}, NAN, kOnGpu);
  const Tensor part = narrow(room, 2, 0, length), view = across ? transpose(part, 1, 2) : part;
  copy_(view, x);
  return view;
}

MatrixRef place(const Tensor& x) { return {x.data_ptr(), x.stride(1), x.stride(2), x.size(0) == 1 ? 0 : x.stride(0)}; }

struct Call {
  double alpha = 1, beta = 0;
  Tensor bias;
};
/// A B by the kernel, for three-dimensional a and b; `c` is what was in the result before.
Tensor multiply(const Tensor& a, const Tensor& b, const Call& call = {}, const Tensor& c = {}) {
  Gemm g;
  g.batch = a.size(0), g.m = a.size(1), g.n = b.size(2), g.k = a.size(2);
  const Tensor out = c.defined() ? c.clone() : full({g.batch, g.m, g.n}, NAN, kOnGpu);
  g.a = place(a), g.b = place(b);
  g.c = out.data_ptr(), g.c_row = out.stride(1), g.c_batch = out.stride(0);
  g.alpha = call.alpha, g.beta = call.beta;
  if (call.bias.defined()) g.bias = call.bias.data_ptr();
  EXPECT_TRUE(own::matmul_float_sm90a_of_any_size(g));
  return out;
}

/// The errors of a product, in units of 2^-24 of |A| |B|.
struct Errors {
  double most, rms;
};
Errors errors(const Tensor& got, const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(kFloat64), y = b.to(kFloat64);
  const Tensor size = clamp_min(matmul(abs(x), abs(y)), Tensor::wrap(1e-300));
  const Tensor off = abs(got.to(kFloat64) - matmul(x, y)) / size * std::ldexp(1.0, 24);
  return {amax(off).item<double>(), std::sqrt(mean(off * off).item<double>())};
}

/// What the library makes of it: matrices that begin at odd places are not the kernel's.
Tensor by_library(const Tensor& a, const Tensor& b) {
  const auto moved = [](const Tensor& x) {
    const Tensor room = zeros({x.numel() + 1}, kOnGpu), view = reshape(narrow(room, 0, 1, x.numel()), x.sizes());
    copy_(view, x);
    return view;
  };
  return matmul(moved(a), moved(b));
}

class MatmulFloat : public Sm90aTest {};

struct Sizes {
  int64_t batch, m, n, k;
};
const Sizes kSizes[] = {{1, 128, 128, 32},  {1, 128, 128, 512}, {3, 130, 134, 202}, {1, 1, 5, 3},      {2, 257, 3, 66},
                        {1, 300, 129, 4096}, {1, 768, 768, 8192}, {1, 2000, 1999, 97}, {5, 64, 200, 1000}};

TEST_F(MatmulFloat, IsExactForSmallIntegers) {
  for (const Sizes& s : kSizes)
    for (int form = 0; form < 3; ++form) {
      SCOPED_TRACE(::testing::Message() << s.batch << " " << s.m << " " << s.n << " " << s.k << " form " << form);
      const Tensor a = randint(-4, 5, {s.batch, s.m, s.k}, kOnGpu), b = randint(-4, 5, {s.batch, s.k, s.n}, kOnGpu);
      const Tensor x = laid_out(a, form == 2), y = laid_out(b, form == 0);
      const Tensor want = matmul(a.to(kFloat64), b.to(kFloat64)).to(kFloat32);
      EXPECT_TRUE(equal(multiply(x, y), want));
      const Tensor bias = randint(-4, 5, {s.n}, kOnGpu), c = randint(-4, 5, {s.batch, s.m, s.n}, kOnGpu);
      EXPECT_TRUE(equal(multiply(x, y, {2, 0, bias}), want * 2 + bias));
      EXPECT_TRUE(equal(multiply(x, y, {-1, 3, {}}, c), c * 3 - want));
    }
}

TEST_F(MatmulFloat, HoldsAllBitsOfANumber) {
  const Tensor x = randn({1, 300, 300}, kOnGpu) * pow(Tensor::wrap(10.0), randint(-37, 30, {1, 300, 300}, kOnGpu));
  const Tensor tiny = randn({1, 300, 300}, kOnGpu) * 1e-40;  // not normal numbers
  const Tensor one = unsqueeze(eye(300, kOnGpu), 0);
  for (const Tensor& t : {x, tiny}) {
    EXPECT_TRUE(equal(multiply(t, one), t));
    EXPECT_TRUE(equal(multiply(one, t), t));
  }
}

TEST_F(MatmulFloat, IsAsAccurateAsFloat32) {
  const auto compare = [&](const char* what, const Tensor& a, const Tensor& b, double share = 1.1, double most = 3) {
    const Errors own_errors = errors(multiply(a, b), a, b), library = errors(by_library(a, b), a, b);
    EXPECT_LE(own_errors.most, std::max(1.5 * library.most, most)) << what << ", K " << a.size(2);
    EXPECT_LE(own_errors.rms, std::max(share * library.rms, 0.5)) << what << ", K " << a.size(2);
  };
  for (int64_t k : {64, 256, 1024, 8192, 50304}) {
    const Tensor a = randn({1, 256, k}, kOnGpu), b = randn({1, k, 384}, kOnGpu);
    compare("normal", a, b);
    compare("positive", abs(a), abs(b));
    // A few terms make these sums, and their own rounding shows.
    compare("of many sizes", a * exp(a * 5), b * exp(b * 5), 1.2);
    compare("of few terms", softmax(a * 4, 2), b, 1.5, 12);
    const Tensor scale = exp(randn({1, 1, k}, kOnGpu) * 10);
    compare("large times small", a * scale, b / transpose(scale, 1, 2));
    compare("tiny", a * 1e-39, b * 1e12);
    // Sums that overflow are made again in float32's arithmetic, one term after the other: up to 5 of these units.
    compare("huge", a * 1e33, b * 1e-3, 1.1, 6);
    compare("huge sums", a * 1e17, b * 1e18, 1.1, 6);
  }
}

TEST_F(MatmulFloat, GivesInfAndNanWhereFloat32Does) {
  Tensor a = randn({1, 300, 512}, kOnGpu), b = randn({1, 512, 260}, kOnGpu);
  const auto set = [](const Tensor& t, int64_t row, int64_t column, double to) {
    fill_(narrow(narrow(t, 1, row, 1), 2, column, 1), to);
  };
  set(a, 3, 5, INFINITY), set(a, 70, 9, -INFINITY), set(a, 200, 200, NAN), set(a, 130, 30, INFINITY), set(a, 130, 31, -INFINITY);
  set(b, 9, 100, INFINITY), set(b, 40, 250, -INFINITY), set(b, 5, 17, 0), set(a, 290, 7, 3.4e38), set(b, 7, 33, 2);
  for (int form = 0; form < 3; ++form) {
    const Tensor got = multiply(laid_out(a, form == 2), laid_out(b, form == 0));
    const Tensor want = matmul(a.to(kFloat64), b.to(kFloat64)).to(kFloat32);
    EXPECT_TRUE(equal(isnan(got), isnan(want)));
    EXPECT_TRUE(equal(isinf(got), isinf(want)));
    const Tensor off = abs(got - want) / (abs(want) + 1);
    EXPECT_LE(amax(where(isfinite(want), off, zeros_like(off))).item<double>(), 1e-4);
  }
}

TEST_F(MatmulFloat, RepeatsItself) {
  const Tensor a = randn({2, 700, 3000}, kOnGpu), b = randn({2, 3000, 500}, kOnGpu);
  EXPECT_TRUE(equal(multiply(a, b), multiply(a, b)));
}

}  // namespace
}  // namespace norch::testing
