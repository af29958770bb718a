// Softmax and its relatives.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// exp(x) / sum(exp(x)) along `dim`, safe from overflow. Shape of the input; `dtype` casts the input first.
/// \throws NotImplementedError for integers without a float `dtype`, IndexError for a dim out of range.
NORCH_API Tensor softmax(const Tensor& t, int64_t dim, std::optional<DType> dtype = {});
/// log(softmax(x)), more exact than in two steps.
NORCH_API Tensor log_softmax(const Tensor& t, int64_t dim, std::optional<DType> dtype = {});
/// softmax(-x).
NORCH_API Tensor softmin(const Tensor& t, int64_t dim, std::optional<DType> dtype = {});

/// Gradient of softmax (log_softmax) with result `y` for the gradient `g` of that result; itself differentiable.
NORCH_API Tensor softmax_backward(const Tensor& g, const Tensor& y, int64_t dim);
NORCH_API Tensor log_softmax_backward(const Tensor& g, const Tensor& y, int64_t dim);

}  // namespace norch
