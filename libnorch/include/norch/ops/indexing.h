// Choosing and replacing elements by index or mask. (index.h has the general t[...].)
//
// Index tensors are int64 or int32. An index out of range raises IndexError; on CUDA at the next call that waits for
// the device. Ops that add are exact about order: equal indices are summed in index order, on both devices. A mask
// has dtype bool.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// The slices of `t` at the given places of `dim`: the result has index.numel() there. `index` has at most 1 dim.
NORCH_API Tensor index_select(const Tensor& t, int64_t dim, const Tensor& index);
/// `self` with alpha * source[i] added to slice index[i] of `dim`, for every i in turn.
NORCH_API Tensor index_add(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                           const Scalar& alpha = 1);
NORCH_API Tensor index_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                            const Scalar& alpha = 1);
/// `self` with slice index[i] of `dim` replaced by source[i]; where an index repeats, the last stays.
NORCH_API Tensor index_copy(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source);
NORCH_API Tensor index_copy_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source);
/// `self` with the slices at `index` of `dim` filled with a number or 0-d tensor. Negative indices count from the end.
NORCH_API Tensor index_fill(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value);
NORCH_API Tensor index_fill_(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value);
NORCH_API Tensor index_fill(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& value);
NORCH_API Tensor index_fill_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& value);

/// Elements at places counted in row-major order (negative: from the end), in the shape of `index`.
NORCH_API Tensor take(const Tensor& t, const Tensor& index);
/// `self` with source[i] at place index[i], added with `accumulate`.
NORCH_API Tensor put(const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate = false);
NORCH_API Tensor put_(const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate = false);

/// The elements of `t` where `mask` (both broadcast) is true: 1-d. Waits for the device.
NORCH_API Tensor masked_select(const Tensor& t, const Tensor& mask);
/// `self` with the elements where `mask` is true replaced by the first elements of `source`, in row-major order.
/// \throws Error when source has too few.
NORCH_API Tensor masked_scatter(const Tensor& self, const Tensor& mask, const Tensor& source);
NORCH_API Tensor masked_scatter_(const Tensor& self, const Tensor& mask, const Tensor& source);

/// Coordinates of the elements that are not zero: [count, ndim], in row-major order. Waits for the device.
NORCH_API Tensor nonzero(const Tensor& t);
/// The same as one 1-d tensor per dim: nonzero(as_tuple=True), where(condition).
NORCH_API TensorList nonzero_tuple(const Tensor& t);
NORCH_API Tensor argwhere(const Tensor& t);

/// For each value the place in the ascending last dim of `sorted` where it would be inserted: before equal elements,
/// or after them with `right`. `sorted` is 1-d or has the values' other dims. `sorter` gives the ascending order of an
/// unsorted one. NaN sorts last. The result is int64, or int32 with `out_int32`.
NORCH_API Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool out_int32 = false, bool right = false,
                              const Tensor& sorter = {});
/// searchsorted(boundaries, input): which of the buckets between 1-d boundaries each value falls into.
NORCH_API Tensor bucketize(const Tensor& input, const Tensor& boundaries, bool out_int32 = false, bool right = false);

}  // namespace norch
