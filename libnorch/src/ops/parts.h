// Tensors that are parts of one: what is split is often joined again in backward, which costs nothing if it lies as it
// must.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// The tensor whose consecutive parts along `dim` these are, as a view of their memory; undefined if they do not lie as
/// such parts, or if autograd follows them. With `stacked` they are its slices along a dim of its own.
Tensor whole_of(const TensorList& parts, int64_t dim, bool stacked = false);

/// New tensors of the shapes of `like`, in its order: where those are the parts of a tensor that fills its memory, along
/// any dim, so are the new ones, and whole_of() joins them; otherwise the list is empty. So an op of query, key and value
/// that one product made leaves their gradients as that product's backward wants them.
TensorList new_parts_like(const TensorList& like);

}  // namespace norch
