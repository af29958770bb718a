// How sparse gradients (norch/sparse.h) are added up and kept.
//
// One is an ordinary TensorImpl of the full shape, so that it travels through the engine like every gradient; its parts
// are in Meta::sparse, and its storage is one NaN that all elements share. Whoever reads it without looking for the
// parts sees that at once.
#pragma once

#include "autograd/node.h"
#include "norch/sparse.h"

namespace norch::autograd {

inline bool is_sparse(const Tensor& t) {
  const Meta* meta = t.impl()->meta.get();
  return meta && meta->sparse;
}
/// a + b, where one is sparse at least: sparse if both are.
Tensor add_gradients(const Tensor& a, const Tensor& b);
/// dense += alpha * sparse, in place.
void add_sparse_(const Tensor& dense, const Tensor& sparse, const Scalar& alpha = 1);
/// The same gradient in memory of its own; without `history`, outside the graph.
Tensor own_copy(const Tensor& sparse, bool history);

}  // namespace norch::autograd
