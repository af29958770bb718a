// Covariance, histograms, sets and other summaries.
#pragma once

#include <optional>
#include <tuple>
#include <string>
#include <utility>
#include <vector>

#include "norch/tensor.h"

namespace norch {

/// The covariance matrix (v, v) of v variables with n samples, given as (v, n), (n) or 0-d; 0-d for one variable. The
/// divisor is n - correction. `fweights` (n integers) say how often a sample counts, `aweights` (n floats) how much.
/// \throws Error for bool, more than 2 dims, or weights of another length, dtype or sign.
NORCH_API Tensor cov(const Tensor& x, int64_t correction = 1, const Tensor& fweights = {}, const Tensor& aweights = {});
/// Pearson's correlation coefficients: cov divided by the standard deviations.
NORCH_API Tensor corrcoef(const Tensor& x);
/// x with every slice along `dim` scaled down to a p-norm of at most `maxnorm`. \throws Error below 2 dims, for p <= 0
/// or maxnorm < 0.
NORCH_API Tensor renorm(const Tensor& x, const Scalar& p, int64_t dim, const Scalar& maxnorm);

struct Histogram {
  Tensor hist;
  TensorList edges;  // one for each dim
};
/// Counts (or sums of the weights) of the points (..., n) in a grid of cells. `edges` holds for every dim the borders of
/// its cells, rising; each cell has its left border, the last one both. `density`: divided by total and cell volume.
/// \throws NotImplementedError for integers, Error for shapes that do not fit.
NORCH_API Histogram histogramdd(const Tensor& points, const TensorList& edges, const Tensor& weight = {},
                                bool density = false);
/// The same with bins[d] equal cells between range[2 d] and range[2 d + 1] (none: the points' extent).
NORCH_API Histogram histogramdd(const Tensor& points, Ints bins, const std::vector<double>& range = {},
                                const Tensor& weight = {}, bool density = false);

/// Whether each element occurs among `tests` (not, with `invert`). bool of the elements' shape.
NORCH_API Tensor isin(const Tensor& elements, const Tensor& tests, bool invert = false);
/// (distinct slices of t along `dim` in lexicographic order, for each slice of t the index of its value, how often each
/// occurs). With `consecutive` only equal neighbours are taken together, in their order. Waits for the device.
NORCH_API std::tuple<Tensor, Tensor, Tensor> unique_dim(const Tensor& t, int64_t dim, bool consecutive = false);
/// nonzero cut or filled up (with `fill_value`) to `size` rows.
NORCH_API Tensor nonzero_static(const Tensor& t, int64_t size, int64_t fill_value = -1);
/// `self` with the slices of `source` combined into those at `index` along `dim` by "prod", "mean", "amax" or "amin";
/// without `include_self` as if self had not been there.
NORCH_API Tensor index_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                              const std::string& reduce, bool include_self = true);

/// Gives the tensor another shape, contiguous in memory: its elements stay where they are, more memory is taken if it
/// needs more, whose values are undefined. \throws Error for a tensor that requires grad.
NORCH_API Tensor resize_(const Tensor& self, Ints sizes);
/// Sets the main diagonal of a matrix, or of a tensor whose dims are all equal. With `wrap` the diagonal of a tall matrix
/// starts anew after a gap of one row. \throws Error below 2 dims or for other shapes.
NORCH_API Tensor fill_diagonal_(const Tensor& self, const Scalar& value, bool wrap = false);

}  // namespace norch
