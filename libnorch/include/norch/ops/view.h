// Views: the same memory under another shape. Every function here is differentiable, and writing to a view writes to
// its base; only reshape (and what is built on it: flatten, ravel, ...) copies, where strides leave no other way.
// Dims may be negative. \throws IndexError for a dim out of range.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

// ---- any geometry

/// The storage of `t` seen with the given geometry (in elements; the offset counts from the storage's start and
/// defaults to that of `t`). Elements may overlap: their gradients add up.
/// \throws Error for negative strides or offset, or when the view reaches outside the storage.
NORCH_API Tensor as_strided(const Tensor& t, Ints sizes, Ints strides, std::optional<int64_t> storage_offset = {});
/// A copy of `base` (with its strides, where they do not overlap) in which as_strided(base, geometry) holds `part`.
NORCH_API Tensor as_strided_scatter(const Tensor& base, const Tensor& part, Ints sizes, Ints strides,
                                    std::optional<int64_t> storage_offset = {});

// ---- the same elements under another shape

/// The same elements in row-major order under another shape; one size may be -1.
/// \throws Error when the number of elements differs, or when strides do not allow a view.
NORCH_API Tensor view(const Tensor& t, Ints sizes);
/// The same bytes as another dtype; the last dim grows or shrinks with the item size. Gradients do not pass.
/// \throws Error when the last dim, strides or offset do not fit the wider dtype.
NORCH_API Tensor view_dtype(const Tensor& t, DType dtype);
NORCH_API Tensor view_as(const Tensor& t, const Tensor& other);
/// As view(t, sizes), but copies where strides do not allow a view.
NORCH_API Tensor reshape(const Tensor& t, Ints sizes);
NORCH_API Tensor reshape_as(const Tensor& t, const Tensor& other);
/// Dims [start, end] joined into one; a 0-d tensor becomes 1-d.
NORCH_API Tensor flatten(const Tensor& t, int64_t start_dim = 0, int64_t end_dim = -1);
/// Dim `dim` cut into `sizes`, one of which may be -1.
NORCH_API Tensor unflatten(const Tensor& t, int64_t dim, Ints sizes);
/// All elements in one dim.
NORCH_API Tensor ravel(const Tensor& t);

// ---- repeated elements

/// The view of `t` with size-1 dims repeated and dims added in front; -1 keeps a size.
NORCH_API Tensor expand(const Tensor& t, Ints sizes);
NORCH_API Tensor expand_as(const Tensor& t, const Tensor& other);
NORCH_API Tensor broadcast_to(const Tensor& t, Ints sizes);
/// All tensors expanded to the shape that they broadcast to.
NORCH_API TensorList broadcast_tensors(const TensorList& tensors);

// ---- dims in another order

/// Swaps two dims. (Python also: swapaxes, swapdims.)
NORCH_API Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1);
/// Transposes a tensor of at most 2 dims; \throws Error for more.
NORCH_API Tensor t(const Tensor& t);
/// Dim i of the result is dim dims[i] of `t`. \throws Error unless dims is a permutation.
NORCH_API Tensor permute(const Tensor& t, Ints dims);
/// Moves dims `source` to the places `destination`, the others keep their order. (Python also: moveaxis.)
NORCH_API Tensor movedim(const Tensor& t, Ints source, Ints destination);
/// Tensor.T: all dims reversed.
NORCH_API Tensor numpy_T(const Tensor& t);
/// Tensor.mT: the last two dims swapped. \throws Error below 2 dims.
NORCH_API Tensor matrix_T(const Tensor& t);
/// Tensor.H: the transpose of a matrix (real dtypes have nothing to conjugate). \throws Error unless 0-d or 2-d.
NORCH_API Tensor matrix_H(const Tensor& t);
/// Tensor.mH: as mT. \throws Error below 2 dims.
NORCH_API Tensor adjoint(const Tensor& t);

// ---- dims of size 1

/// Without the dims of size 1: all of them, one, or those of a list (others in the list stay).
NORCH_API Tensor squeeze(const Tensor& t);
NORCH_API Tensor squeeze(const Tensor& t, int64_t dim);
NORCH_API Tensor squeeze(const Tensor& t, Ints dims);
/// With a new dim of size 1 at `dim`, in [-ndim - 1, ndim].
NORCH_API Tensor unsqueeze(const Tensor& t, int64_t dim);
NORCH_API Tensor atleast_1d(const Tensor& t);
NORCH_API Tensor atleast_2d(const Tensor& t);
NORCH_API Tensor atleast_3d(const Tensor& t);

// ---- changing the shape of the tensor object itself
NORCH_API Tensor squeeze_(const Tensor& self);
NORCH_API Tensor squeeze_(const Tensor& self, int64_t dim);
NORCH_API Tensor squeeze_(const Tensor& self, Ints dims);
NORCH_API Tensor unsqueeze_(const Tensor& self, int64_t dim);
NORCH_API Tensor transpose_(const Tensor& self, int64_t dim0, int64_t dim1);
NORCH_API Tensor t_(const Tensor& self);
NORCH_API Tensor as_strided_(const Tensor& self, Ints sizes, Ints strides, std::optional<int64_t> storage_offset = {});

}  // namespace norch
