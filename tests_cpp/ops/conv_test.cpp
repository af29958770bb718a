#include <cmath>

#include "kernels/cpu/parallel.h"
#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::message;
using testing::numbers;

struct Case {
  Shape x, w;
  Shape stride{1}, pad{0}, dilation{1};
  int64_t groups = 1;
};

/// A 2-d convolution by definition, in double.
Tensor reference(const Case& c, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  auto at = [](const Shape& v, size_t d) { return v[v.size() == 1 ? 0 : d]; };
  const Tensor x = input.to(kFloat64).contiguous(), w = weight.to(kFloat64).contiguous();
  const Ints sx = x.sizes(), sw = w.sizes();
  int64_t out[2];
  for (size_t d = 0; d < 2; ++d)
    out[d] = (sx[2 + d] + 2 * at(c.pad, d) - at(c.dilation, d) * (sw[2 + d] - 1) - 1) / at(c.stride, d) + 1;
  Tensor result = zeros({sx[0], sw[0], out[0], out[1]}, TensorOptions(kFloat64));
  double* y = result.data<double>();
  for (int64_t n = 0; n < sx[0]; ++n)
    for (int64_t o = 0; o < sw[0]; ++o)
      for (int64_t i = 0; i < out[0]; ++i)
        for (int64_t j = 0; j < out[1]; ++j, ++y) {
          if (bias.defined()) *y = bias.to(kFloat64).data<double>()[o];
          for (int64_t k = 0; k < sw[1]; ++k)
            for (int64_t a = 0; a < sw[2]; ++a)
              for (int64_t b = 0; b < sw[3]; ++b) {
                const int64_t r = i * at(c.stride, 0) + a * at(c.dilation, 0) - at(c.pad, 0);
                const int64_t s = j * at(c.stride, 1) + b * at(c.dilation, 1) - at(c.pad, 1);
                if (r < 0 || r >= sx[2] || s < 0 || s >= sx[3]) continue;
                const int64_t channel = o / (sw[0] / c.groups) * sw[1] + k;
                *y += x.data<double>()[((n * sx[1] + channel) * sx[2] + r) * sx[3] + s] *
                      w.data<double>()[((o * sw[1] + k) * sw[2] + a) * sw[3] + b];
              }
        }
  return result;
}

const Case kCases[] = {
    {{2, 3, 7, 9}, {4, 3, 3, 3}},
    {{2, 3, 7, 9}, {4, 3, 3, 3}, {1}, {1}},
    {{1, 2, 11, 8}, {5, 2, 3, 2}, {2, 3}, {1, 0}},
    {{1, 2, 11, 12}, {9, 2, 3, 3}, {2}, {2, 4}, {2, 3}},
    {{2, 4, 6, 6}, {6, 2, 3, 3}, {1}, {1}, {1}, 2},
    {{2, 5, 6, 20}, {5, 1, 3, 3}, {1}, {1}, {1}, 5},
    {{2, 5, 6, 20}, {10, 1, 3, 3}, {2}, {1}, {1}, 5},
    {{2, 3, 5, 5}, {8, 3, 1, 1}},
    {{2, 3, 5, 5}, {8, 3, 1, 1}, {2}},
    {{2, 3, 5, 6}, {8, 3, 2, 2}, {3}, {0}},
    {{1, 1, 3, 3}, {1, 1, 3, 3}, {1}, {5}},
    {{1, 3, 30, 61}, {17, 3, 7, 7}, {2}, {3}},
    {{3, 29, 5, 6}, {66, 29, 3, 3}, {2, 1}, {1, 2}, {1, 2}},
};

TEST(Conv, AgreesWithTheDefinition) {
  for (const Case& c : kCases) {
    for (DType t : {kFloat64, kFloat32, kFloat16, kBFloat16}) {
      const double tolerance = t == kFloat64 ? 1e-12 : t == kFloat32 ? 1e-5 : t == kFloat16 ? 1e-2 : 1e-1;
      const Tensor x = numbers(c.x, t), w = numbers(c.w, t, 2), b = numbers({c.w[0]}, t, 3);
      for (const Tensor& bias : {Tensor(), b})
        EXPECT_LE(max_difference(conv2d(x, w, bias, c.stride, c.pad, c.dilation, c.groups), reference(c, x, w, bias)),
                  tolerance)
            << name(t) << " x " << str(c.x) << " w " << str(c.w);
    }
  }
}

TEST(Conv, Gradients) {
  for (const Case& c : kCases)
    if (numel_of(c.x) < 1000)
      check_gradients(
          [&](const TensorList& t) { return conv2d(t[0], t[1], t[2], c.stride, c.pad, c.dilation, c.groups); },
          {numbers(c.x), numbers(c.w, kFloat64, 2), numbers({c.w[0]}, kFloat64, 3)});
  check_gradients([](const TensorList& t) { return conv1d(t[0], t[1], t[2], {2}, {1}); },
                  {numbers({2, 3, 8}), numbers({4, 3, 3}), numbers({4})});
  check_gradients([](const TensorList& t) { return conv3d(t[0], t[1], t[2], {1, 2, 1}, {1, 0, 1}); },
                  {numbers({1, 2, 4, 5, 4}), numbers({3, 2, 2, 3, 2}), numbers({3})});
  check_gradients([](const TensorList& t) { return conv_transpose2d(t[0], t[1], t[2], {2, 3}, {1, 0}, {1, 2}, 2, {1, 2}); },
                  {numbers({2, 4, 3, 4}), numbers({4, 3, 3, 2}), numbers({6})});
}

// Odd and even sizes, channels that fill no panel, every padding.
TEST(Conv, ManyChannelsBy3x3) {
  const Case cases[] = {
      {{4, 40, 9, 7}, {33, 40, 3, 3}, {1}, {1}},
      {{3, 33, 12, 11}, {40, 33, 3, 3}, {1}, {0, 2}},
      {{1, 16, 5, 90}, {70, 16, 3, 3}, {1}, {4}},
  };
  for (const Case& c : cases) {
    const Tensor x = numbers(c.x, kFloat32).requires_grad_(), w = numbers(c.w, kFloat32, 2), b = numbers({c.w[0]}, kFloat32, 3);
    const Tensor y = conv2d(x, w, b, c.stride, c.pad);
    EXPECT_LE(max_difference(y, reference(c, x, w, b)), 5e-5) << str(c.x);
    const Tensor exact = x.detach().to(kFloat64).requires_grad_(), g = numbers(y.sizes(), kFloat32, 5);
    const Tensor z = conv2d(exact, w.to(kFloat64), b.to(kFloat64), c.stride, c.pad);
    EXPECT_LE(max_difference(autograd::grad({y}, {x}, {g})[0], autograd::grad({z}, {exact}, {g.to(kFloat64)})[0]), 5e-5);
  }
}

// These are products of matrices, some samples at a time; the gradients are the adjoints.
TEST(Conv, SmallImagesOfManyChannels) {
  const Case cases[] = {
      {{130, 29, 8, 8}, {64, 29, 3, 3}, {1}, {1}},
      {{2, 70, 5, 9}, {65, 70, 2, 3}, {2}, {1, 3}, {1, 2}},
      {{1, 256, 1, 1}, {64, 256, 3, 3}, {1}, {1}},
  };
  const auto dot = [](const Tensor& a, const Tensor& b) { return sum(a * b).item().to_double(); };
  for (const Case& c : cases) {
    const Tensor x = numbers(c.x).requires_grad_(), w = numbers(c.w, kFloat64, 2).requires_grad_();
    const Tensor y = conv2d(x, w, {}, c.stride, c.pad, c.dilation), g = numbers(y.sizes(), kFloat64, 3);
    const TensorList gradients = autograd::grad({y}, {x, w}, {g});
    const Tensor dx = numbers(c.x, kFloat64, 4), dw = numbers(c.w, kFloat64, 5);
    EXPECT_NEAR(dot(gradients[0], dx), dot(g, conv2d(dx, w, {}, c.stride, c.pad, c.dilation)), 1e-8) << str(c.x);
    EXPECT_NEAR(dot(gradients[1], dw), dot(g, conv2d(x, dw, {}, c.stride, c.pad, c.dilation)), 1e-8) << str(c.x);
  }
}

TEST(Conv, TransposedIsTheGradientByTheInput) {
  for (const Case& c : kCases) {
    const Tensor x = numbers(c.x).requires_grad_(), w = numbers(c.w, kFloat64, 2);
    const Tensor y = conv2d(x, w, {}, c.stride, c.pad, c.dilation, c.groups), g = numbers(y.sizes(), kFloat64, 5);
    const Tensor gx = autograd::grad({y}, {x}, {g})[0];
    Shape extra(2);
    for (size_t d = 0; d < 2; ++d) {
      const size_t i = c.stride.size() == 1 ? 0 : d, j = c.pad.size() == 1 ? 0 : d, k = c.dilation.size() == 1 ? 0 : d;
      extra[d] = c.x[2 + d] - ((y.sizes()[2 + d] - 1) * c.stride[i] - 2 * c.pad[j] + c.dilation[k] * (c.w[2 + d] - 1) + 1);
    }
    EXPECT_LE(max_difference(conv_transpose2d(g, w, {}, c.stride, c.pad, extra, c.groups, c.dilation), gx), 1e-13);
  }
}

TEST(Conv, SamePaddingAndUnbatchedAndEmpty) {
  const Tensor x = numbers({3, 6, 7}), w = numbers({4, 3, 2, 5});
  EXPECT_EQ(Shape(conv2d(x, w, {}, {1}, ConvPadding::same, {2, 1}).sizes()), Shape({4, 6, 7}));
  // An even kernel has its odd zero behind.
  const Tensor two = conv1d(ones({1, 1, 3}), ones({1, 1, 2}), {}, {1}, ConvPadding::same);
  const float expected[] = {2, 2, 1};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(two.data<float>()[i], expected[i]);
  EXPECT_EQ(Shape(conv2d(zeros({0, 3, 6, 7}), zeros({4, 3, 3, 3})).sizes()), Shape({0, 4, 4, 5}));
}

TEST(Conv, ErrorsSayWhatIsWrong) {
  const Tensor x = zeros({1, 3, 5, 5}), w = zeros({4, 3, 3, 3});
  EXPECT_EQ(message([&] { conv2d(zeros({5, 5}), w); }),
            "conv2d: Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [5, 5]");
  EXPECT_EQ(message([&] { conv2d(zeros({1, 2, 5, 5}), w); }),
            "conv2d: Given groups=1, weight of size [4, 3, 3, 3], expected input[1, 2, 5, 5] to have 3 channels, but got "
            "2 channels instead");
  EXPECT_EQ(message([&] { conv2d(zeros({1, 3, 2, 2}), w); }),
            "conv2d: Calculated padded input size per channel: (2 x 2). Kernel size: (3 x 3). Kernel size can't be "
            "greater than actual input size");
  EXPECT_EQ(message([&] { conv2d(x, w, {}, {0}); }), "conv2d: non-positive stride is not supported, got [0, 0]");
  EXPECT_EQ(message([&] { conv2d(x, w, {}, {2}, ConvPadding::same); }),
            "conv2d: padding='same' is not supported for strided convolutions");
  EXPECT_THROW(conv2d(x, w, {}, {1}, {0}, {int64_t{1} << 62}), Error);
  EXPECT_THROW(conv2d(x.to(kBool), w.to(kBool)), NotImplementedError);
}

TEST(Conv, IntegersAreExact) {
  const Tensor x = numbers({2, 4, 7, 6}, kInt64, 1), w = numbers({6, 2, 3, 2}, kInt64, 2), b = numbers({6}, kInt64, 3),
               back = numbers({4, 3, 3, 2}, kInt64, 4);
  const auto wide = [](const Tensor& t) { return t.to(kFloat64); };
  EXPECT_EQ(max_difference(conv2d(x, w, b, {2, 1}, {1, 2}, {1, 2}, 2),
                           conv2d(wide(x), wide(w), wide(b), {2, 1}, {1, 2}, {1, 2}, 2)),
            0);
  EXPECT_EQ(max_difference(conv_transpose2d(x, back, b, {2, 3}, {1, 0}, {1, 2}, 2, {1, 2}),
                           conv_transpose2d(wide(x), wide(back), wide(b), {2, 3}, {1, 0}, {1, 2}, 2, {1, 2})),
            0);
}

TEST(Conv, SameBitsAtAnyNumberOfThreads) {
  const int before = kernels::cpu::num_threads();
  for (const int64_t channels : {5, 40}) {
    const Tensor x = numbers({3, channels, 30, 31}, kFloat32).requires_grad_();
    const Tensor w = numbers({39, channels, 3, 3}, kFloat32).requires_grad_();
    for (const int64_t stride : {1, 2}) {
      TensorList first;
      for (int threads : {1, 2, 5}) {
        kernels::cpu::set_num_threads(threads);
        const Tensor y = conv2d(x, w, {}, {stride}, {1});
        TensorList results = autograd::grad({y}, {x, w}, {numbers(y.sizes(), kFloat32, 7)});
        results.push_back(y);
        if (first.empty()) first = results;
        for (size_t i = 0; i < results.size(); ++i) EXPECT_EQ(max_difference(first[i], results[i]), 0);
      }
    }
  }
  kernels::cpu::set_num_threads(before);
}

}  // namespace
}  // namespace norch
