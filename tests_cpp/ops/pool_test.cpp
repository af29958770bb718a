#include <cmath>
#include <limits>

#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::message;
using testing::numbers;

struct Case {
  Shape x, kernel, stride, pad, dilation;
  bool ceil_mode = false;
};
const Case kCases[] = {
    {{2, 3, 6, 8}, {2}, {}, {0}, {1}},        {{2, 3, 7, 9}, {3}, {2}, {1}, {1}},
    {{1, 2, 7, 9}, {3, 2}, {2, 3}, {1, 0}, {1}, true}, {{1, 2, 9, 11}, {3}, {2}, {1}, {2}},
    {{1, 1, 5, 5}, {2}, {2}, {1}, {1}, true}, {{2, 6, 5}, {3}, {1}, {0}, {1}},
};

/// Pools by definition, in double: the maximum, or the sum and the size of each window.
template <class F>
Tensor reference(const Case& c, const F& f) {
  auto at = [](const Shape& v, size_t d) { return v[v.size() == 1 ? 0 : d]; };
  const size_t lead = c.x.size() - 2;
  const Tensor x = numbers(c.x);
  Shape shape(Ints(c.x).slice(0, lead));
  int64_t out[2];
  for (size_t d = 0; d < 2; ++d) {
    const int64_t s = c.stride.empty() ? at(c.kernel, d) : at(c.stride, d);
    const double room = static_cast<double>(c.x[lead + d] + 2 * at(c.pad, d) - at(c.dilation, d) * (at(c.kernel, d) - 1) - 1);
    out[d] = static_cast<int64_t>(c.ceil_mode ? std::ceil(room / static_cast<double>(s)) : std::floor(room / static_cast<double>(s))) + 1;
    if (c.ceil_mode && (out[d] - 1) * s >= c.x[lead + d] + at(c.pad, d)) --out[d];
    shape.push_back(out[d]);
  }
  Tensor result = empty(shape, TensorOptions(kFloat64));
  double* y = result.data<double>();
  const int64_t h = c.x[lead], w = c.x[lead + 1];
  for (int64_t plane = 0; plane < x.numel() / (h * w); ++plane)
    for (int64_t i = 0; i < out[0]; ++i)
      for (int64_t j = 0; j < out[1]; ++j) {
        double most = -INFINITY, sum = 0;
        int64_t inside = 0, size = 0;
        for (int64_t a = 0; a < at(c.kernel, 0); ++a)
          for (int64_t b = 0; b < at(c.kernel, 1); ++b) {
            const int64_t s0 = c.stride.empty() ? at(c.kernel, 0) : at(c.stride, 0);
            const int64_t s1 = c.stride.empty() ? at(c.kernel, 1) : at(c.stride, 1);
            const int64_t r = i * s0 - at(c.pad, 0) + a * at(c.dilation, 0);
            const int64_t s = j * s1 - at(c.pad, 1) + b * at(c.dilation, 1);
            size += r < h + at(c.pad, 0) && s < w + at(c.pad, 1);
            if (r < 0 || r >= h || s < 0 || s >= w) continue;
            ++inside;
            const double v = x.data<double>()[(plane * h + r) * w + s];
            sum += v;
            most = std::fmax(most, v);
          }
        *y++ = f(most, sum, inside, size);
      }
  return result;
}

TEST(Pool, AgreesWithTheDefinition) {
  for (const Case& c : kCases) {
    const Tensor x = numbers(c.x);
    EXPECT_EQ(max_difference(max_pool2d(x, c.kernel, c.stride, c.pad, c.dilation, c.ceil_mode),
                             reference(c, [](double most, double, int64_t, int64_t) { return most; })),
              0);
    if (c.dilation[0] != 1) continue;
    EXPECT_LE(max_difference(avg_pool2d(x, c.kernel, c.stride, c.pad, c.ceil_mode, true),
                             reference(c, [](double, double sum, int64_t, int64_t size) { return sum / static_cast<double>(size); })),
              1e-14);
    EXPECT_LE(max_difference(avg_pool2d(x, c.kernel, c.stride, c.pad, c.ceil_mode, false),
                             reference(c, [](double, double sum, int64_t n, int64_t) { return sum / static_cast<double>(n); })),
              1e-14);
    EXPECT_LE(max_difference(avg_pool2d(x, c.kernel, c.stride, c.pad, c.ceil_mode, true, 7),
                             reference(c, [](double, double sum, int64_t, int64_t) { return sum / 7; })),
              1e-14);
  }
}

TEST(Pool, Gradients) {
  for (const Case& c : kCases) {
    check_gradients([&](const TensorList& t) { return max_pool2d(t[0], c.kernel, c.stride, c.pad, c.dilation, c.ceil_mode); },
                    {numbers(c.x)});
    if (c.dilation[0] == 1)
      for (bool include : {false, true})
        check_gradients([&](const TensorList& t) { return avg_pool2d(t[0], c.kernel, c.stride, c.pad, c.ceil_mode, include); },
                        {numbers(c.x)});
  }
  check_gradients([](const TensorList& t) { return adaptive_avg_pool2d(t[0], {3, 4}); }, {numbers({2, 2, 7, 9})});
  check_gradients([](const TensorList& t) { return adaptive_max_pool2d_with_indices(t[0], {3, 4}).first; },
                  {numbers({2, 2, 7, 9})});
  check_gradients([](const TensorList& t) { return adaptive_avg_pool1d(t[0], {5}); }, {numbers({2, 3, 3})});
  // The square makes the second gradient more than zero.
  check_gradients([](const TensorList& t) { return max_pool1d(t[0] * t[0], {2}, {1}); }, {numbers({3, 6})});
}

TEST(Pool, IndicesAndNaN) {
  Tensor x = numbers({1, 1, 4, 4}, kFloat32);
  x.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  auto [y, index] = max_pool2d_with_indices(x, {2});
  EXPECT_EQ(index.dtype(), kInt64);
  EXPECT_TRUE(std::isnan(y.data<float>()[0]));
  EXPECT_EQ(index.data<int64_t>()[0], 5);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(y.data<float>()[i], x.data<float>()[index.data<int64_t>()[i]]);
  EXPECT_EQ(max_difference(max_pool1d(numbers({2, 6}, kInt32), {2}), max_pool1d(numbers({2, 6}, kInt32).to(kFloat64), {2})), 0);
  // All taps of the one window lie in the padding.
  EXPECT_EQ(max_pool1d(zeros({1, 1}), {2}, {1}, {2}, {4}).item<float>(), -INFINITY);
}

TEST(Pool, Adaptive) {
  const Tensor x = numbers({2, 3, 6, 6});
  EXPECT_LE(max_difference(adaptive_avg_pool2d(x, {1}), sum(x, {2, 3}, true) * (1.0 / 36)), 1e-14);
  EXPECT_LE(max_difference(adaptive_avg_pool2d(x, {3}), avg_pool2d(x, {2})), 1e-14);
  EXPECT_EQ(Shape(adaptive_avg_pool2d(x, {-1, 4}).sizes()), Shape({2, 3, 6, 4}));
  EXPECT_EQ(Shape(adaptive_avg_pool2d(zeros({0, 3, 4, 4}), {2}).sizes()), Shape({0, 3, 2, 2}));
}

TEST(Pool, ErrorsSayWhatIsWrong) {
  const Tensor x = zeros({1, 3, 5, 5});
  EXPECT_EQ(message([&] { max_pool2d(x, {2}, {}, {2}); }),
            "max_pool2d: pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and dilation=1");
  EXPECT_EQ(message([&] { max_pool2d(x, {6}); }),
            "max_pool2d: Given input size: [1, 3, 5, 5]. Calculated output size: 0 in dim -2. Output size is too small");
  EXPECT_EQ(message([&] { max_pool2d(zeros({5, 5}), {2}); }),
            "max_pool2d: Expected 3D or 4D (batch mode) tensor for input, but got a tensor of shape [5, 5]");
  EXPECT_EQ(message([&] { avg_pool2d(x, {2}, {}, {0}, false, true, 0); }), "avg_pool2d: divisor must be not zero");
  EXPECT_THROW(avg_pool2d(x.to(kInt32), {2}), NotImplementedError);
  EXPECT_THROW(adaptive_avg_pool2d(x.to(kInt64), {2}), NotImplementedError);
  EXPECT_THROW(max_pool2d(x, {0}), Error);
}

}  // namespace
}  // namespace norch
