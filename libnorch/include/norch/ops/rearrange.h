// Copies of a tensor's elements in another order or number.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// Reverses the given dims. \throws Error for a dim named twice.
NORCH_API Tensor flip(const Tensor& t, Ints dims);
NORCH_API Tensor fliplr(const Tensor& t);
NORCH_API Tensor flipud(const Tensor& t);
/// Shifts elements along `dims`, those that fall off one end come in at the other; without dims the tensor is shifted
/// as if flattened. \throws Error unless there are as many shifts as dims.
NORCH_API Tensor roll(const Tensor& t, Ints shifts, Ints dims = {});
/// Rotates by k * 90 degrees in the plane of two dims, from the first towards the second.
NORCH_API Tensor rot90(const Tensor& t, int64_t k = 1, Ints dims = {0, 1});
/// The tensor laid side by side repeats[i] times along dim i; extra repeats add dims in front.
NORCH_API Tensor repeat(const Tensor& t, Ints repeats);
/// As repeat, but missing repeats count as 1.
NORCH_API Tensor tile(const Tensor& t, Ints reps);
/// Each element along `dim` (none: of the flattened tensor) repeated `repeats` times, or by its own count.
/// \throws Error for negative counts or a count tensor that does not fit. The count form waits for the device.
NORCH_API Tensor repeat_interleave(const Tensor& t, int64_t repeats, std::optional<int64_t> dim = {});
NORCH_API Tensor repeat_interleave(const Tensor& t, const Tensor& repeats, std::optional<int64_t> dim = {});
/// 1-d: the matrix with `t` on a diagonal; 2-d: that diagonal.
NORCH_API Tensor diag(const Tensor& t, int64_t diagonal = 0);
/// Zeros with the last dim of `t` on the diagonal of dims dim1 and dim2 of the result.
NORCH_API Tensor diag_embed(const Tensor& t, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);

}  // namespace norch
