// Reductions.
#pragma once

#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// out[i, k] = sum over j of in[i, j, k] for contiguous in (outer x n x inner) and out (outer x inner). Accumulates in
/// SumType and rounds once to out's dtype, which is in's or its SumType.
NORCH_KERNEL(sum, void(const Tensor& out, const Tensor& in, int64_t outer, int64_t n, int64_t inner))

}  // namespace norch::kernels
