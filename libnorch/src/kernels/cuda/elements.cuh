// Elements of elementwise kernels as they lie in memory: their types, loads and stores.
//
// The element type AnyFloat stands for float16, bfloat16 and float32, one of them for all operands of a plan that have
// it (immediate ones may be float32 beside 16-bit floats): one kernel serves the three, at the price of a branch per four
// elements. visit_float_class gives AnyFloat or double.
#pragma once

#include <type_traits>

#include "kernels/cuda/loops.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

/// An element as it is in memory: of float32 if its operand is wide (Walk::wide), otherwise of Walk::float_type, 16-bit
/// floats in the lower half.
struct AnyFloat {
  uint32_t bits;
};

}  // namespace norch::kernels::cuda

template <>
struct norch::ComputeTypeOf<norch::kernels::cuda::AnyFloat> {
  using type = float;
};

namespace norch::kernels::cuda {

/// As visit_float, with AnyFloat for the floats of up to 32 bits.
template <class F>
void visit_float_class(const char* op, DType t, const F& f) {
  visit_float(op, t, [&](auto tag) {
    if constexpr (sizeof(typename decltype(tag)::type) == 8)
      f(tag);
    else
      f(TypeTag<AnyFloat>{});
  });
}
/// As visit_numbers and visit_all, likewise.
template <class F>
void visit_number_class(const char* op, DType t, const F& f) {
  visit_numbers(op, t, [&](auto tag) {
    if constexpr (is_floating_point(dtype_of<typename decltype(tag)::type>) && sizeof(typename decltype(tag)::type) < 8)
      f(TypeTag<AnyFloat>{});
    else
      f(tag);
  });
}
template <class F>
void visit_any_class(DType t, const F& f) {
  visit_all(t, [&](auto tag) {
    if constexpr (is_floating_point(dtype_of<typename decltype(tag)::type>) && sizeof(typename decltype(tag)::type) < 8)
      f(TypeTag<AnyFloat>{});
    else
      f(tag);
  });
}

namespace loops {

template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T v[N];
};

__device__ __forceinline__ bool is_wide(const Walk& w, int k) { return (w.wide >> k) & 1; }

/// N elements of type T as they are loaded: in whole registers. Elements of 8 and 16 bits that are taken apart where they
/// are loaded would each time wait for the load, before the next one begins.
template <class T, int N>
struct alignas(sizeof(T) * N) Loaded {
  static_assert(sizeof(T) <= 4 && sizeof(T) * N >= 4);
  uint32_t words[sizeof(T) * N / 4];
};
template <int N>
struct alignas(sizeof(AnyFloat) * N) Loaded<AnyFloat, N> {
  AnyFloat v[N];
};

/// The values in what was loaded of operand k: AnyFloat becomes float.
template <class T, int N>
__device__ __forceinline__ Vector<T, N> values_of(const Walk&, int, const Loaded<T, N>& loaded) {
  Vector<T, N> values;
  memcpy(&values, &loaded, sizeof values);
  return values;
}
template <int N>
__device__ __forceinline__ Vector<float, N> values_of(const Walk& w, int k, const Loaded<AnyFloat, N>& loaded) {
  Vector<float, N> out;
  if (is_wide(w, k)) {
#pragma unroll
    for (int j = 0; j < N; ++j) out.v[j] = __uint_as_float(loaded.v[j].bits);
  } else if (w.float_type == DType::BFloat16) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const uint32_t pair = loaded.v[j / 2].bits;
      out.v[j] = __uint_as_float(j % 2 ? pair & 0xFFFF0000u : pair << 16);
    }
  } else {
#pragma unroll
    for (int j = 0; j < N; ++j) out.v[j] = Half::to_float(static_cast<uint16_t>(loaded.v[j / 2].bits >> (16 * (j % 2))));
  }
  return out;
}
template <class T>
__device__ __forceinline__ int size_of(const Walk& w) {
  return std::is_same_v<T, AnyFloat> && w.float_type != DType::Float32 ? 2 : static_cast<int>(sizeof(T));
}
template <class T>
__device__ __forceinline__ T value_of(const Walk&, int, const T& loaded) {
  return loaded;
}
__device__ __forceinline__ float value_of(const Walk& w, int k, const AnyFloat& loaded) {
  return values_of(w, k, Loaded<AnyFloat, 1>{{loaded}}).v[0];
}

/// What a kernel keeps of an output of type T until it is stored.
template <class T>
struct HeldAs {
  using type = T;
};
template <>
struct HeldAs<AnyFloat> {
  using type = float;
};
template <class T, int N>
__device__ __forceinline__ void store_vector(const Walk&, char* to, const Vector<T, N>& v, const T*) {
  *reinterpret_cast<Vector<T, N>*>(to) = v;
}
template <int N>
__device__ __forceinline__ void store_vector(const Walk& w, char* to, const Vector<float, N>& v, const AnyFloat*) {
  if (w.float_type == DType::Float32) {
    *reinterpret_cast<Vector<float, N>*>(to) = v;
    return;
  }
  Vector<uint16_t, N> narrow;
  if (w.float_type == DType::BFloat16) {
#pragma unroll
    for (int j = 0; j < N; ++j) narrow.v[j] = BFloat16::from_float(v.v[j]);
  } else {
#pragma unroll
    for (int j = 0; j < N; ++j) narrow.v[j] = Half::from_float(v.v[j]);
  }
  *reinterpret_cast<Vector<uint16_t, N>*>(to) = narrow;
}

template <class T>
__device__ __forceinline__ T immediate(const Walk& w, int k) {
  T v;
  memcpy(&v, &w.value[k], sizeof(T));
  return v;
}

template <class T>
__device__ __forceinline__ T load_one(const Walk& w, int k, uint32_t offset) {
  if ((w.immediate >> k) & 1) return immediate<T>(w, k);
  if constexpr (std::is_same_v<T, AnyFloat>) {
    if (!is_wide(w, k)) return {*reinterpret_cast<const uint16_t*>(w.data[k] + offset)};
  }
  return *reinterpret_cast<const T*>(w.data[k] + offset);
}

template <class T, int N>
__device__ __forceinline__ Loaded<T, N> load_vector(const Walk& w, int k, uint32_t offset) {
  if (((w.immediate | w.repeated) >> k) & 1) {
    T one = load_one<T>(w, k, offset);
    Loaded<T, N> all;
    if constexpr (std::is_same_v<T, AnyFloat>) {
      if (!is_wide(w, k)) one.bits = (one.bits & 0xFFFFu) * 0x10001u;  // a pair of them
#pragma unroll
      for (int i = 0; i < N; ++i) all.v[i] = one;
    } else {
      uint32_t word = 0;
      memcpy(&word, &one, sizeof one);
      word *= sizeof(T) == 1 ? 0x01010101u : sizeof(T) == 2 ? 0x10001u : 1u;
#pragma unroll
      for (uint32_t& to : all.words) to = word;
    }
    return all;
  }
  if constexpr (std::is_same_v<T, AnyFloat>) {
    if (!is_wide(w, k)) {
      const auto half = *reinterpret_cast<const Vector<AnyFloat, N / 2>*>(w.data[k] + offset);
      Loaded<T, N> all;
#pragma unroll
      for (int i = 0; i < N; ++i) all.v[i].bits = i < N / 2 ? half.v[i % (N / 2)].bits : 0;
      return all;
    }
  }
  return *reinterpret_cast<const Loaded<T, N>*>(w.data[k] + offset);
}

}  // namespace loops

}  // namespace norch::kernels::cuda
