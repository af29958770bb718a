// MemoryFormat: in which order the dims of a new tensor lie in memory.
#pragma once

#include <cstdint>
#include <string>

#include "norch/export.h"
#include "norch/shape.h"

namespace norch {

enum class MemoryFormat : uint8_t {
  contiguous,        // row-major
  preserve,          // the order of the tensor that the new one is like, without gaps
  channels_last,     // (N, C, H, W) with the channels innermost
  channels_last_3d,  // (N, C, D, H, W) with the channels innermost
};

/// Writes "channels_last".
NORCH_API void append(std::string& s, MemoryFormat format);

/// The strides of a dense tensor of that shape in that format; `like` are the strides to preserve.
///
///     format_strides({2, 3, 4, 5}, MemoryFormat::channels_last);   // [60, 1, 15, 3]
///
/// \throws Error when a format does not fit the number of dims.
NORCH_API Shape format_strides(Ints sizes, MemoryFormat format, Ints like = {});
/// Whether the elements fill a block of memory without gaps or overlap, in whatever order.
NORCH_API bool is_dense(Ints sizes, Ints strides);

}  // namespace norch
