// Where a mask is true.
#pragma once

#include "kernels/narrow_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// The places of the true elements of a contiguous bool tensor, counted in row-major order: int64, ascending. On CUDA
/// this waits for the device, since the shape depends on the data.
NORCH_NARROW_KERNEL(flat_nonzero, Tensor(const Tensor& mask))
/// out[i, d] = the coordinate along dim d of place flat[i] in a tensor of shape `sizes`; `out` is contiguous.
NORCH_NARROW_KERNEL(unravel, void(const Tensor& out, const Tensor& flat, Ints sizes))
/// For each value the number of elements of the ascending row of `sorted` that lie before it (with `right`: that do
/// not lie after it; NaN lies after all). All are contiguous; the rows of `values` are searched in the rows of
/// `sorted`, or all in its only row. `order`, if defined, holds each row's places in ascending order.
NORCH_NARROW_KERNEL(searchsorted, void(const Tensor& out, const Tensor& sorted, const Tensor& values,
                                       const Tensor& order, bool right))

}  // namespace norch::kernels
