// Elements of any dtype as unsigned keys that order as they do (kernels/sort.h: the total order), without a kernel for
// each dtype: keys of up to 4 bytes are uint32_t, others uint64_t, and the dtype is a kernel argument.
#pragma once

#include <type_traits>

#include "core/factory.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"
#include "kernels/sort.h"

namespace norch::kernels::cuda::sorting {

/// What the elements' bits become. The same as sort_key<T>, for a dtype known when the kernel runs.
template <class Key>
struct KeyMaker {
  enum Kind : uint8_t { Unsigned, Signed, Float };
  Kind kind = Unsigned;
  bool descending = false;
  int bits = 0;                   // of a key
  Key all = 0, top = 0, inf = 0;  // all bits, the highest one, an infinity's key

  KeyMaker(DType t, bool down) : descending(down), bits(t == DType::Bool ? 1 : 8 * static_cast<int>(itemsize(t))) {
    all = static_cast<Key>(~Key(0) >> (8 * sizeof(Key) - static_cast<unsigned>(bits)));
    top = static_cast<Key>(Key(1) << (bits - 1));
    if (is_floating_point(t)) {
      kind = Float;
      const int mantissa = t == DType::Float16 ? 10 : t == DType::BFloat16 ? 7 : t == DType::Float32 ? 23 : 52;
      inf = static_cast<Key>(all >> mantissa << mantissa);
    } else if (is_signed(t)) {
      kind = Signed;
    }
  }
#if defined(__CUDACC__)
  __device__ __forceinline__ Key key(Key element) const {
    Key k = element;
    if (kind == Float) {
      if ((k & ~top) == 0) k = 0;
      k = k & top ? ~k & all : k | top;
      if ((element & ~top) > (inf & ~top)) k = all;
    } else if (kind == Signed) {
      k ^= top;
    }
    return descending ? ~k & all : k;
  }
  /// The element of a key into `element`; false where several have it (zeros of both signs, NaNs).
  __device__ __forceinline__ bool element(Key key, Key& element) const {
    const Key k = descending ? ~key & all : key;
    element = k;
    if (kind == Signed) element = k ^ top;
    if (kind != Float) return true;
    element = k & top ? k ^ top : ~k & all;
    return k != all && k != top;
  }
#endif
};

/// Calls f(Key()) with the type of keys of elements of dtype `t`. \throws NotImplementedError for complex.
template <class F>
void visit_key(DType t, const F& f) {
  visit_all(t, [](auto) {});  // raises for others
  if (itemsize(t) == 8)
    f(uint64_t{});
  else
    f(uint32_t{});
}

#if defined(__CUDACC__)
/// Calls f(a null pointer to the unsigned type of an element's size).
template <class Key, class F>
__device__ __forceinline__ void visit_element(int size, const F& f) {
  if constexpr (sizeof(Key) == 8) {
    f(static_cast<const uint64_t*>(nullptr));
  } else {
    if (size == 4)
      f(static_cast<const uint32_t*>(nullptr));
    else if (size == 2)
      f(static_cast<const uint16_t*>(nullptr));
    else
      f(static_cast<const uint8_t*>(nullptr));
  }
}
/// The bits of N elements, element u at place(u): all on their way before the first is waited for.
template <int N, class Key, class F>
__device__ __forceinline__ void load_elements(Key (&to)[N], const void* x, int size, const F& place) {
  visit_element<Key>(size, [&](auto* type) {
    using U = std::remove_pointer_t<decltype(type)>;
#pragma unroll
    for (int u = 0; u < N; ++u) to[u] = static_cast<U*>(x)[place(u)];
  });
}
template <class Key>
__device__ __forceinline__ Key load_element(const void* x, int size, int64_t at) {
  Key to[1];
  load_elements(to, x, size, [&](int) { return at; });
  return to[0];
}
template <class Key>
__device__ __forceinline__ void store_element(void* y, int size, int64_t at, Key element) {
  visit_element<Key>(size, [&](auto* type) {
    using U = std::remove_const_t<std::remove_pointer_t<decltype(type)>>;
    static_cast<U*>(y)[at] = static_cast<U>(element);
  });
}
#endif

inline Tensor bytes(int64_t n, Device device) { return new_tensor({n}, DType::UInt8, device); }

/// Rows of up to kMostInBlock elements, sorted in a block each.
inline constexpr int64_t kMostInBlock = 4096;
/// The first `count` elements of each sorted row. With `places`, (rows, n) like `in`, an index is what stands there.
void sort_rows(bool descending, int64_t rows, int64_t n, int64_t count, const Tensor& values, const Tensor& indices,
               const Tensor& in, const int64_t* places);

/// The places of the first k elements of each row in sorted order, in ascending order of place: out (rows, k).
void select_places(bool descending, int64_t rows, int64_t n, int64_t k, int64_t* out, const Tensor& in);
/// Element k (from 0) of each row in sorted order.
void select_one(bool descending, int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
                const Tensor& in);

}  // namespace norch::kernels::cuda::sorting
