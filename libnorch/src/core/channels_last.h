// Results that lie in memory as their inputs do.
#pragma once

#include "core/factory.h"
#include "norch/memory_format.h"

namespace norch {

/// The format that a tensor's strides ask for, as PyTorch reads it: channels_last or channels_last_3d where the channels
/// move fastest, then the spatial dims from the last to the first, then the samples. Dims of size 1 count by their
/// strides; where those leave it open (one channel, one position), it is row-major. The tensor need not be dense.
inline MemoryFormat suggested_format(const Tensor& t) {
  const int64_t dims = t.dim();
  if (dims != 4 && dims != 5) return MemoryFormat::contiguous;
  const Ints sizes = t.sizes(), strides = t.strides();
  if (strides[1] == 0) return MemoryFormat::contiguous;
  int64_t least = 0;
  for (int64_t i = 0; i < dims; ++i) {
    const size_t d = static_cast<size_t>(i == 0 ? 1 : i + 1 < dims ? dims - i : 0);  // channels, last dim, ..., samples
    if (sizes[d] == 0 || strides[d] < least || (d == 0 && least == strides[1])) return MemoryFormat::contiguous;
    least = strides[d] * (sizes[d] > 1 ? sizes[d] : 1);
  }
  return dims == 4 ? MemoryFormat::channels_last : MemoryFormat::channels_last_3d;
}

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
