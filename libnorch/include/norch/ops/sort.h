// Sorting, and what follows from it.
//
// The order is total: NaN counts as larger than any number, and equal elements keep their order, always. Indices are
// int64. Gradients flow to where the values came from. \throws IndexError for a dim out of range.
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "norch/ops/reduce.h"
#include "norch/tensor.h"

namespace norch {

NORCH_API ValuesAndIndices sort(const Tensor& t, int64_t dim = -1, bool descending = false);
/// The indices of sort.
NORCH_API Tensor argsort(const Tensor& t, int64_t dim = -1, bool descending = false);
/// The values of sort along dim 0.
NORCH_API Tensor msort(const Tensor& t);
/// The k largest (smallest) elements along `dim`, best first; of equal elements the first ones.
/// \throws Error for k < 0 or beyond the dim's size.
NORCH_API ValuesAndIndices topk(const Tensor& t, int64_t k, int64_t dim = -1, bool largest = true);
/// The k-th smallest element along `dim`, counted from 1. \throws Error for k out of range.
NORCH_API ValuesAndIndices kthvalue(const Tensor& t, int64_t k, int64_t dim = -1, bool keepdim = false);

/// The lower of the middle elements; NaN if there is one. Empty, over everything: NaN.
NORCH_API Tensor median(const Tensor& t);
NORCH_API ValuesAndIndices median(const Tensor& t, int64_t dim, bool keepdim = false);
/// median of the elements that are not NaN.
NORCH_API Tensor nanmedian(const Tensor& t);
NORCH_API ValuesAndIndices nanmedian(const Tensor& t, int64_t dim, bool keepdim = false);
/// The most frequent element (the smallest of several) and the last index of it.
NORCH_API ValuesAndIndices mode(const Tensor& t, int64_t dim = -1, bool keepdim = false);
/// Quantiles q (in [0, 1], 0-d or 1-d, of t's dtype) along `dim` or of everything. With a 1-d q the result has a dim for
/// it in front. `interpolation`: linear, lower, higher, midpoint or nearest. NaN if there is one.
/// \throws Error for another dtype than float32 or float64, or q out of range.
NORCH_API Tensor quantile(const Tensor& t, const Tensor& q, std::optional<int64_t> dim = {}, bool keepdim = false,
                          const std::string& interpolation = "linear");
/// quantile of the elements that are not NaN.
NORCH_API Tensor nanquantile(const Tensor& t, const Tensor& q, std::optional<int64_t> dim = {}, bool keepdim = false,
                             const std::string& interpolation = "linear");

/// (distinct elements in ascending order, for each element of t the index of its value, how often each occurs); the
/// second without `inverse` and the third without `counts` are undefined. Waits for the device: the size of the result
/// depends on values.
NORCH_API std::tuple<Tensor, Tensor, Tensor> unique(const Tensor& t, bool inverse = true, bool counts = true);
/// The same for runs of equal neighbours of the flattened tensor.
NORCH_API std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& t, bool inverse = true,
                                                                bool counts = true);
/// How often each of 0, 1, ... occurs in a 1-d tensor of integers (or the sum of the weights of its occurrences). As
/// long as the largest element asks for, at least `minlength`. Waits for the device.
NORCH_API Tensor bincount(const Tensor& t, const Tensor& weights = {}, int64_t minlength = 0);
/// Counts of the elements in `bins` equal intervals of [min, max] (the data's own range if both are equal).
NORCH_API Tensor histc(const Tensor& t, int64_t bins = 100, const Scalar& min = 0, const Scalar& max = 0);

}  // namespace norch
