// Random tensors. See generator.h: the numbers are the same on every device, unless they are PyTorch's.
//
// Every function takes the generator to draw from; null is the default one. In-place forms have a zero gradient.
#pragma once

#include <optional>

#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch {

/// Uniform in [0, 1). \throws NotImplementedError for dtypes that are not floating-point.
NORCH_API Tensor rand(Ints sizes, const TensorOptions& options = {}, Generator* generator = nullptr);
/// Normal with mean 0 and standard deviation 1.
NORCH_API Tensor randn(Ints sizes, const TensorOptions& options = {}, Generator* generator = nullptr);
/// Integers in [low, high); int64 without a dtype in the options. \throws Error when low >= high or the dtype cannot
/// hold them.
NORCH_API Tensor randint(int64_t low, int64_t high, Ints sizes, const TensorOptions& options = {},
                         Generator* generator = nullptr);
/// A permutation of 0 .. n-1; int64 without a dtype in the options.
NORCH_API Tensor randperm(int64_t n, const TensorOptions& options = {}, Generator* generator = nullptr);
/// The shape of `like`; dtype and device of the options, order of dims in memory by `format`.
NORCH_API Tensor rand_like(const Tensor& like, const TensorOptions& options,
                           MemoryFormat format = MemoryFormat::preserve, Generator* generator = nullptr);
NORCH_API Tensor randn_like(const Tensor& like, const TensorOptions& options,
                            MemoryFormat format = MemoryFormat::preserve, Generator* generator = nullptr);
NORCH_API Tensor randint_like(const Tensor& like, int64_t low, int64_t high, const TensorOptions& options,
                              MemoryFormat format = MemoryFormat::preserve, Generator* generator = nullptr);
inline Tensor rand_like(const Tensor& like, Generator* generator = nullptr) {
  return rand_like(like, like.options(), MemoryFormat::preserve, generator);
}
inline Tensor randn_like(const Tensor& like, Generator* generator = nullptr) {
  return randn_like(like, like.options(), MemoryFormat::preserve, generator);
}
inline Tensor randint_like(const Tensor& like, int64_t low, int64_t high, Generator* generator = nullptr) {
  return randint_like(like, low, high, like.options(), MemoryFormat::preserve, generator);
}

/// Uniform in [from, to). \throws Error when from > to.
NORCH_API Tensor uniform_(const Tensor& self, double from = 0, double to = 1, Generator* generator = nullptr);
/// Normal. \throws Error for a negative std.
NORCH_API Tensor normal_(const Tensor& self, double mean = 0, double std = 1, Generator* generator = nullptr);
/// exp of a normal number.
NORCH_API Tensor log_normal_(const Tensor& self, double mean = 1, double std = 2, Generator* generator = nullptr);
/// Exponential of rate `lambd` > 0; never 0.
NORCH_API Tensor exponential_(const Tensor& self, double lambd = 1, Generator* generator = nullptr);
/// Cauchy with scale sigma > 0.
NORCH_API Tensor cauchy_(const Tensor& self, double median = 0, double sigma = 1, Generator* generator = nullptr);
/// Trials up to the first success of probability p in (0, 1).
NORCH_API Tensor geometric_(const Tensor& self, double p, Generator* generator = nullptr);
/// Integers in [from, to), `to` left out meaning all from `from` that the dtype can hold exactly.
NORCH_API Tensor random_(const Tensor& self, int64_t from = 0, std::optional<int64_t> to = {},
                         Generator* generator = nullptr);
/// 1 with probability p (a number, or one per element, broadcast to self), otherwise 0.
NORCH_API Tensor bernoulli_(const Tensor& self, double p = 0.5, Generator* generator = nullptr);
NORCH_API Tensor bernoulli_(const Tensor& self, const Tensor& p, Generator* generator = nullptr);
/// 1 with the probability that the element holds.
NORCH_API Tensor bernoulli(const Tensor& p, Generator* generator = nullptr);

/// Normal numbers, mean and standard deviation given per element; they broadcast.
NORCH_API Tensor normal(const Tensor& mean, const Tensor& std, Generator* generator = nullptr);
/// Poisson numbers with the rates that the elements hold.
NORCH_API Tensor poisson(const Tensor& rates, Generator* generator = nullptr);

/// Indices drawn with the probabilities (any non-negative weights) in the rows of a (C) or (N, C) tensor: int64 of
/// shape (num_samples) or (N, num_samples). Waits for the device, to check the weights.
/// \throws Error for weights that are negative, not finite or all zero, or too few of them without replacement.
NORCH_API Tensor multinomial(const Tensor& probabilities, int64_t num_samples, bool replacement = false,
                             Generator* generator = nullptr);

}  // namespace norch
