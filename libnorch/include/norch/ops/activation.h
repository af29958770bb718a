// Activation functions. Floats only where nothing else is said (NotImplementedError otherwise). Shape and dtype are the
// operand's. The forms ending in `_` write into it.
#pragma once

#include <string_view>

#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch {

/// max(x, 0); any dtype but bool.
NORCH_API Tensor relu(const Tensor& x);
NORCH_API Tensor relu_(const Tensor& self);
/// x limited to [0, 6]; any dtype but bool.
NORCH_API Tensor relu6(const Tensor& x);
NORCH_API Tensor relu6_(const Tensor& self);
/// x above 0, negative_slope * x below.
NORCH_API Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
NORCH_API Tensor leaky_relu_(const Tensor& self, double negative_slope = 0.01);
/// scale * x above 0, scale * alpha * (exp(input_scale * x) - 1) below.
NORCH_API Tensor elu(const Tensor& x, double alpha = 1, double scale = 1, double input_scale = 1);
NORCH_API Tensor elu_(const Tensor& self, double alpha = 1, double scale = 1, double input_scale = 1);
/// elu with the fixed point of mean 0 and variance 1.
NORCH_API Tensor selu(const Tensor& x);
NORCH_API Tensor selu_(const Tensor& self);
/// x above 0, alpha * (exp(x / alpha) - 1) below. \throws Error for alpha == 0.
NORCH_API Tensor celu(const Tensor& x, double alpha = 1);
NORCH_API Tensor celu_(const Tensor& self, double alpha = 1);
/// x * P(N(0, 1) <= x); with approximate "tanh" the tanh formula. \throws Error for another name.
NORCH_API Tensor gelu(const Tensor& x, std::string_view approximate = "none");
NORCH_API Tensor gelu_(const Tensor& self, std::string_view approximate = "none");
/// x * sigmoid(x).
NORCH_API Tensor silu(const Tensor& x);
NORCH_API Tensor silu_(const Tensor& self);
/// x * tanh(softplus(x)).
NORCH_API Tensor mish(const Tensor& x);
NORCH_API Tensor mish_(const Tensor& self);
/// log(1 + exp(beta * x)) / beta, x itself where beta * x > threshold.
NORCH_API Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
/// x limited to [min_val, max_val]; any dtype but bool. \throws ValueError for min_val > max_val.
NORCH_API Tensor hardtanh(const Tensor& x, const Scalar& min_val = -1, const Scalar& max_val = 1);
NORCH_API Tensor hardtanh_(const Tensor& self, const Scalar& min_val = -1, const Scalar& max_val = 1);
/// (x + 3) / 6 limited to [0, 1].
NORCH_API Tensor hardsigmoid(const Tensor& x);
NORCH_API Tensor hardsigmoid_(const Tensor& self);
/// x * hardsigmoid(x).
NORCH_API Tensor hardswish(const Tensor& x);
NORCH_API Tensor hardswish_(const Tensor& self);
/// x where it exceeds threshold, else value; any dtype but bool.
NORCH_API Tensor threshold(const Tensor& x, const Scalar& threshold, const Scalar& value);
NORCH_API Tensor threshold_(const Tensor& self, const Scalar& threshold, const Scalar& value);
/// log(sigmoid(x)).
NORCH_API Tensor logsigmoid(const Tensor& x);
/// x / (1 + |x|).
NORCH_API Tensor softsign(const Tensor& x);
/// x - tanh(x).
NORCH_API Tensor tanhshrink(const Tensor& x);
/// 0 within [-lambda, lambda], x elsewhere.
NORCH_API Tensor hardshrink(const Tensor& x, double lambda = 0.5);
/// x moved towards 0 by lambda, 0 within it. \throws Error for lambda < 0.
NORCH_API Tensor softshrink(const Tensor& x, double lambda = 0.5);

/// x where x > 0, weight * x elsewhere. weight has one element, or one for each channel (dim 1); the input's dtype.
/// \throws Error for another weight.
NORCH_API Tensor prelu(const Tensor& x, const Tensor& weight);
/// x where x > 0, a * x elsewhere: a is drawn uniformly from [lower, upper) for each element when training, otherwise
/// it is (lower + upper) / 2. \throws Error for lower > upper.
NORCH_API Tensor rrelu(const Tensor& x, double lower = 1.0 / 8, double upper = 1.0 / 3, bool training = false,
                       Generator* generator = nullptr);
NORCH_API Tensor rrelu_(const Tensor& self, double lower = 1.0 / 8, double upper = 1.0 / 3, bool training = false,
                        Generator* generator = nullptr);

}  // namespace norch
