// Complex numbers: their parts, and making them of parts.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// The real numbers of a complex tensor of shape (...), as a view of shape (..., 2): real and imaginary parts.
/// \throws Error for a real tensor.
/// \code
/// view_as_real(complex(ones({3}), zeros({3})));  // float32[3, 2]
/// \endcode
NORCH_API Tensor view_as_real(const Tensor& x);
/// The reverse: a float32 or float64 tensor of shape (..., 2) as a complex view of shape (...). \throws Error for another
/// dtype, or unless the last dim has size 2 and stride 1 and the other strides and the offset are even.
NORCH_API Tensor view_as_complex(const Tensor& x);
/// The real parts, as a view; a real tensor itself.
NORCH_API Tensor real(const Tensor& x);
/// The imaginary parts, as a view. \throws Error for a real tensor, which has none.
NORCH_API Tensor imag(const Tensor& x);
/// re + i * im, of two float tensors of one dtype that broadcast: complex64 of float16 and float32, complex128 of float64.
NORCH_API Tensor complex(const Tensor& re, const Tensor& im);
/// abs * (cos(angle) + i * sin(angle)), as complex().
NORCH_API Tensor polar(const Tensor& abs, const Tensor& angle);

namespace detail {
NORCH_API Tensor conj_of_complex(const Tensor& x);
}
/// The complex conjugate, a real tensor itself. It is computed here and now: norch has no lazily conjugated tensors, so
/// unlike PyTorch's, the result for a complex tensor shares no memory with it.
inline Tensor conj(const Tensor& x) { return x.is_complex() ? detail::conj_of_complex(x) : x; }
/// As conj, but a new tensor for a real one too.
NORCH_API Tensor conj_physical(const Tensor& x);
NORCH_API Tensor conj_physical_(const Tensor& self);
/// The angle in radians, atan2(imag, real); of a real number pi where negative, 0 elsewhere. NaN of NaN.
NORCH_API Tensor angle(const Tensor& x);
/// x / |x|, and 0 of 0; sign() of a real tensor.
NORCH_API Tensor sgn(const Tensor& x);
NORCH_API Tensor sgn_(const Tensor& self);
/// Whether each element has no imaginary part: bool.
NORCH_API Tensor isreal(const Tensor& x);

}  // namespace norch
