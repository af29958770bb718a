// Copying with a change of dtype or strides, and filling.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "kernels/plan.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// dst = src, converted, over a plan of operands {dst, src} on one device. Of the conversions between unlike dtypes it
/// has those of visit_cast; copy_into (norch/ops/copy.h) makes the others of them.
NORCH_KERNEL(copy, void(const Plan& plan))
/// Every element of operand 0 becomes `value`, converted.
NORCH_KERNEL(fill, void(const Plan& plan, const Scalar& value))

/// Matrices (the last two dims; contiguous, of one dtype) whose elements (row, col) with col <= row + diagonal are those
/// of `in` and the others zeros, if `lower`; the other way round if not.
NORCH_KERNEL(triangle, void(const Tensor& out, const Tensor& in, int64_t diagonal, bool lower))

/// Whether `copy` converts `from` into `to` directly.
constexpr bool casts_directly(DType to, DType from) {
  auto basic = [](DType t) { return !is_complex(t) && (t <= DType::UInt8 || t >= DType::Int8); };
  if (to == from || (basic(to) && basic(from))) return true;
  if (to == DType::Int64) return from == DType::UInt16 || from == DType::UInt32;
  const DType wide = to == DType::UInt64 ? from : from == DType::UInt64 ? to : DType::Bool;
  return wide == DType::Float32 || wide == DType::Float64;
}

/// Calls f(TypeTag<To>, TypeTag<From>) for what casts_directly: every pair would be 225 loops.
template <class F>
void visit_cast(DType to, DType from, F&& f) {
  if (to == DType::UInt64 || from == DType::UInt64) {
    visit_float("copy", to == DType::UInt64 ? from : to, [&](auto tag) {
      if constexpr (sizeof(typename decltype(tag)::type) >= 4) {
        if (to == DType::UInt64)
          f(TypeTag<uint64_t>{}, tag);
        else
          f(tag, TypeTag<uint64_t>{});
      }
    });
  } else if (from == DType::UInt16) {
    f(TypeTag<int64_t>{}, TypeTag<uint16_t>{});
  } else if (from == DType::UInt32) {
    f(TypeTag<int64_t>{}, TypeTag<uint32_t>{});
  } else {
    visit_all(to, [&](auto t) { visit_all(from, [&](auto u) { f(t, u); }); });
  }
}

}  // namespace norch::kernels
