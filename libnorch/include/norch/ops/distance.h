// Distances and similarities of vectors. Float dtypes.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along a dim of the shape to which the two broadcast.
NORCH_API Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim = 1, double eps = 1e-8);
/// |x1 - x2 + eps| along the last dim, in the p-norm.
NORCH_API Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p = 2, double eps = 1e-6,
                                   bool keepdim = false);
/// The p-norm of all of a - b, which broadcast.
NORCH_API Tensor dist(const Tensor& a, const Tensor& b, const Scalar& p = 2);

/// How cdist gets Euclidean distances: from |a|^2 + |b|^2 - 2 a.b by one matrix product (fast, but small distances of
/// long vectors lose digits), or from the differences.
enum class DistanceMode { automatic, product, differences };
/// The distance in the p-norm of each row of x1 (..., P, M) from each row of x2 (..., R, M): (..., P, R); the leading dims
/// broadcast. automatic takes the product for more than 25 rows on a side.
///
///     cdist(zeros({3, 2}), ones({4, 2}));   // (3, 4), all sqrt(2)
///
/// \throws Error for shapes that do not fit, a negative p, or other dtypes.
NORCH_API Tensor cdist(const Tensor& x1, const Tensor& x2, double p = 2, DistanceMode mode = DistanceMode::automatic);
/// The distances in the p-norm of the rows of a (N, M) tensor from those below them: (N (N - 1) / 2).
NORCH_API Tensor pdist(const Tensor& input, double p = 2);

}  // namespace norch
