// Results that lie in memory as their inputs do.
#pragma once

#include "core/factory.h"
#include "norch/memory_format.h"

namespace norch {

/// channels_last or channels_last_3d where t is in that order and not row-major too, contiguous for everything else.
inline MemoryFormat format_of(const Tensor& t) {
  if (t.is_contiguous()) return MemoryFormat::contiguous;
  if (t.dim() == 4 && t.is_contiguous(MemoryFormat::channels_last)) return MemoryFormat::channels_last;
  if (t.dim() == 5 && t.is_contiguous(MemoryFormat::channels_last_3d)) return MemoryFormat::channels_last_3d;
  return MemoryFormat::contiguous;
}

/// A new tensor of that shape in one of those formats.
inline Tensor new_in(MemoryFormat format, Ints sizes, DType dtype, Device device) {
  if (format == MemoryFormat::contiguous) return new_tensor(sizes, dtype, device);
  return new_strided(sizes, format_strides(sizes, format), dtype, device);
}

}  // namespace norch
