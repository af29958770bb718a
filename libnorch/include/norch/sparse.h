// Sparse gradients: what a lookup with sparse=true gives its table.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// What a sparse tensor is made of. Element or row values[i] stands at indices[:, i], zeros everywhere else; a place
/// with several values has their sum.
struct SparseParts {
  Tensor indices;          // int64 [d, n]: coordinates in the first d dims
  Tensor values;           // [n, sizes of the other dims]
  bool coalesced = false;  // the coordinates are sorted, and each is there once
};

/// A sparse tensor. It serves as a gradient: backward adds such ones up, `grad()` returns them, `set_grad` takes them,
/// and SGD's step writes only to their rows. Other ops do not know them and see NaN in every element; `to_dense` makes
/// an ordinary tensor.
///
///     Tensor g = make_sparse(indices, values, {1000, 16});   // int64 (1, 3), (3, 16)
///     sparse_parts(g)->values;                               // (3, 16)
///     to_dense(g);                                           // (1000, 16)
///
/// \throws Error where the shapes or devices do not fit, or indices are not int64.
NORCH_API Tensor make_sparse(const Tensor& indices, const Tensor& values, Ints sizes, bool coalesced = false);
/// Null for an ordinary tensor; valid as long as `t`.
NORCH_API const SparseParts* sparse_parts(const Tensor& t);
/// The same sparse tensor with sorted coordinates, each once. \throws Error for an ordinary tensor.
NORCH_API Tensor coalesce(const Tensor& t);
/// The ordinary tensor of the same elements (`t` itself if it is one). \throws IndexError for coordinates out of range.
NORCH_API Tensor to_dense(const Tensor& t);

}  // namespace norch
