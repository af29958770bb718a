// Sorting rows. Order is total: NaN is larger than any number, -0 equals 0, equal elements keep their order.
#pragma once

#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/narrow_kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Sorts each of `rows` contiguous rows of n > 0 elements; `indices` (int64) say where in its row each came from. `values`
/// may be undefined, or `indices` may: then CUDA waits for the device, for less work where keys differ in a few bits.
NORCH_NARROW_KERNEL(sort, void(bool descending, int64_t rows, int64_t n, const Tensor& values, const Tensor& indices,
                               const Tensor& in))
/// The first k elements of that order.
NORCH_NARROW_KERNEL(topk, void(bool largest, int64_t rows, int64_t n, int64_t k, const Tensor& values,
                               const Tensor& indices, const Tensor& in))
/// Element k (from 0) of the ascending order.
NORCH_NARROW_KERNEL(kth, void(int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
                              const Tensor& in))

inline namespace NORCH_ISA {

template <size_t kBytes>
struct KeyOfSize {
  using type = uint64_t;
};
template <>
struct KeyOfSize<1> {
  using type = uint8_t;
};
template <>
struct KeyOfSize<2> {
  using type = uint16_t;
};
template <>
struct KeyOfSize<4> {
  using type = uint32_t;
};
template <class T>
using SortKey = typename KeyOfSize<sizeof(T)>::type;

/// An unsigned number of T's size that orders as T does.
template <class T>
NORCH_HD SortKey<T> sort_key(T x, bool descending) {
  using U = SortKey<T>;
  constexpr U kTop = static_cast<U>(U(1) << (8 * sizeof(U) - 1));
  U key;
  if constexpr (std::is_same_v<T, bool>) {
    key = x ? 1 : 0;
  } else if constexpr (is_floating_point(dtype_of<T>)) {
    const ComputeType<T> c = static_cast<ComputeType<T>>(x);
    U bits;
    memcpy(&bits, &x, sizeof bits);
    if (c == 0) bits = 0;
    key = static_cast<U>(bits & kTop ? ~bits : bits | kTop);
    if (c != c) key = static_cast<U>(~U(0));
  } else {
    key = static_cast<U>(x);
    if constexpr (std::is_signed_v<T>) key = static_cast<U>(key ^ kTop);
  }
  return descending ? static_cast<U>(~key) : key;
}

}  // namespace NORCH_ISA
}  // namespace norch::kernels
