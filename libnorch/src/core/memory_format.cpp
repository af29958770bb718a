#include "norch/memory_format.h"

#include <algorithm>

namespace norch {

namespace {

/// Strides that fill memory in the order `inner_to_outer` of the dims.
Shape dense_strides(Ints sizes, const int* inner_to_outer) {
  Shape strides(sizes.size());
  int64_t expected = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int d = inner_to_outer[i];
    strides[d] = expected;
    expected *= std::max<int64_t>(sizes[d], 1);
  }
  return strides;
}

/// The dims by their strides. Dims that share a stride, or repeat one element, stay in row-major order.
void order_by_strides(Ints sizes, Ints strides, int* order) {
  const int n = static_cast<int>(sizes.size());
  for (int i = 0; i < n; ++i) order[i] = n - 1 - i;
  for (int i = 1; i < n; ++i)
    for (int at = i, before = i - 1; before >= 0; --before) {
      const int a = order[before], b = order[at];
      if (strides[a] == 0 || strides[b] == 0) continue;
      if (strides[a] < strides[b]) break;
      if (strides[a] == strides[b] && sizes[a] <= sizes[b]) continue;
      std::swap(order[before], order[at]);
      at = before;
    }
}

}  // namespace

void append(std::string& s, MemoryFormat format) {
  constexpr const char* names[] = {"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"};
  s += names[static_cast<int>(format)];
}

Shape format_strides(Ints sizes, MemoryFormat format, Ints like) {
  switch (format) {
    case MemoryFormat::channels_last: {
      NORCH_CHECK(sizes.size() == 4, "required rank 4 tensor to use channels_last format, got shape ", sizes);
      constexpr int order[] = {1, 3, 2, 0};
      return dense_strides(sizes, order);
    }
    case MemoryFormat::channels_last_3d: {
      NORCH_CHECK(sizes.size() == 5, "required rank 5 tensor to use channels_last_3d format, got shape ", sizes);
      constexpr int order[] = {1, 4, 3, 2, 0};
      return dense_strides(sizes, order);
    }
    case MemoryFormat::preserve: {
      if (like.size() != sizes.size()) return contiguous_strides(sizes);
      if (is_dense(sizes, like)) return like;
      int order[kMaxTensorDims];
      order_by_strides(sizes, like, order);
      return dense_strides(sizes, order);
    }
    default: return contiguous_strides(sizes);
  }
}

bool is_dense(Ints sizes, Ints strides) {
  int order[kMaxTensorDims];
  int n = 0;
  for (int d = 0; d < static_cast<int>(sizes.size()); ++d) {
    if (sizes[d] == 0) return true;
    if (sizes[d] != 1) order[n++] = d;
  }
  std::sort(order, order + n, [&](int a, int b) { return strides[a] < strides[b]; });
  int64_t expected = 1;
  for (int i = 0; i < n; ++i) {
    if (strides[order[i]] != expected) return false;
    expected *= sizes[order[i]];
  }
  return true;
}

}  // namespace norch
