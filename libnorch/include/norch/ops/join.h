// Several tensors into one.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// The tensors one after another along `dim`. dtypes promote; shapes agree but for `dim` (1-d tensors without elements
/// are skipped). \throws ValueError for no tensors, Error for shapes that do not fit. (Python also: concat,
/// concatenate.)
NORCH_API Tensor cat(const TensorList& tensors, int64_t dim = 0);
/// Tensors of one shape along a new dim.
NORCH_API Tensor stack(const TensorList& tensors, int64_t dim = 0);
/// cat along dim 1 (0 for 1-d), 0 and 2, with dims of size 1 added as NumPy does.
NORCH_API Tensor hstack(const TensorList& tensors);
NORCH_API Tensor vstack(const TensorList& tensors);
NORCH_API Tensor dstack(const TensorList& tensors);
/// 1-d tensors as columns, others as they are, side by side.
NORCH_API Tensor column_stack(const TensorList& tensors);
/// The matrix with these (0-d to 2-d) on its diagonal, one after another, and zeros elsewhere.
NORCH_API Tensor block_diag(const TensorList& tensors);

/// All tuples of one element from each 1-d tensor, as rows; of a single tensor the tensor itself.
NORCH_API Tensor cartesian_prod(const TensorList& tensors);
/// All combinations of r elements of a 1-d tensor, as rows in the order of places.
NORCH_API Tensor combinations(const Tensor& t, int64_t r = 2, bool with_replacement = false);

}  // namespace norch
