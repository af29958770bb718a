// How the ops compute with complex numbers and with uint16, uint32 and uint64: by way of tensors of other dtypes on the
// same memory, wherever that gives the same bits, so that few kernels need loops for these dtypes.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// The memory of `t` seen as elements of `type`, of which `per` make one of t's; the one numbered `at` of each. Unknown
/// to autograd.
inline Tensor reinterpreted(const Tensor& t, DType type, int64_t per = 1, int64_t at = 0) {
  Shape strides(t.strides());
  for (int64_t& s : strides) s *= per;
  return Tensor(Ref<TensorImpl>(new TensorImpl(t.storage(), t.sizes(), strides, t.storage_offset() * per + at, type)));
}
/// The real (0) or imaginary (1) parts of a complex tensor, unknown to autograd.
inline Tensor part_of(const Tensor& t, int64_t which) { return reinterpreted(t, to_real(t.dtype()), 2, which); }

constexpr bool is_wide_unsigned(DType t) { return t >= DType::UInt16 && t <= DType::UInt64; }
/// The signed type of the same width: sums, products, bits and equality are the same in both.
constexpr DType signed_twin(DType t) {
  return t == DType::UInt16 ? DType::Int16 : t == DType::UInt32 ? DType::Int32 : t == DType::UInt64 ? DType::Int64 : t;
}

/// A wide unsigned tensor as int64 numbers in the same order: uint64 is moved down by 2^63. Others as they are.
Tensor in_int64_order(const Tensor& t);
/// The reverse, to the wide unsigned dtype `type`; other dtypes as they are.
Tensor from_int64_order(const Tensor& t, DType type);

/// Whether a number, real or complex, is v.
inline bool equals(const Scalar& s, double v) { return s.to_complex() == Complex<double>(v); }
inline Scalar conj(const Scalar& s) {
  return s.is_complex() ? Scalar(Complex<double>(s.to_complex().re, -s.to_complex().im)) : s;
}

}  // namespace norch
