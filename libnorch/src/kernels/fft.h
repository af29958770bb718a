// Discrete Fourier transforms along rows.
#pragma once

#include "kernels/plain_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Transforms every row (last dim) of a contiguous tensor, unscaled: out[k] = sum over j of in[j] exp(-+ 2 pi i j k / n),
/// with a minus if `forward`. The dtypes say which: complex to complex; real to complex, of which only the first n / 2 + 1
/// are written (forward); complex to real of n = out.size(-1), from n / 2 + 1 numbers (inverse; the imaginary parts of the
/// first and, for even n, the last are not looked at). No tensor is empty.
NORCH_PLAIN_KERNEL(fft_rows, void(const Tensor& out, const Tensor& in, bool forward))

}  // namespace norch::kernels
