// Running reductions along one dim.
#pragma once

#include <optional>

#include "norch/ops/reduce.h"
#include "norch/tensor.h"

namespace norch {

/// Running sum along `dim`: out[i] = x[0] + ... + x[i]. Integers and bool accumulate in int64 unless `dtype` says
/// otherwise. \throws IndexError for a dim out of range.
NORCH_API Tensor cumsum(const Tensor& t, int64_t dim, std::optional<DType> dtype = {});
/// Running product; dtypes as cumsum. The gradient is right where factors are 0.
NORCH_API Tensor cumprod(const Tensor& t, int64_t dim, std::optional<DType> dtype = {});
/// Running maximum (minimum) and the last index at which it was met. NaN, once met, stays.
NORCH_API ValuesAndIndices cummax(const Tensor& t, int64_t dim);
NORCH_API ValuesAndIndices cummin(const Tensor& t, int64_t dim);
/// log(exp(x[0]) + ... + exp(x[i])), safe from overflow. Floats only.
NORCH_API Tensor logcumsumexp(const Tensor& t, int64_t dim);

/// y[i] = g[i] + x[i] * y[i - 1] along `dim` (y[i] = g[i] + x[i] * y[i + 1] in `reverse`), where the factor of the
/// first element does not matter: the recurrence that running products and their gradients are made of.
NORCH_API Tensor linear_scan(const Tensor& x, const Tensor& g, int64_t dim, bool reverse = false);

/// Gradient of the products of the rows `x` (along the last dim): g has size 1 there.
Tensor prod_backward(const Tensor& g, const Tensor& x);

}  // namespace norch
