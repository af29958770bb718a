// Elements of any dtype as values of the three types that reductions compute in: float for the floats of up to 32 bits,
// double, and int64_t for bool and the integers.
//
// The dtype is a kernel argument, so that a reduction is compiled three times and not once per dtype. That costs a
// branch that all threads take alike per 2 to 8 elements. At 4.8 TB/s a multiprocessor of an H200 gets about 18 bytes a
// cycle and can issue 128 instructions of single threads: 28 per float32, 14 per bfloat16. A sum takes about 3 (one to
// widen, one to add, the rest for loads and branches, shared by 8 elements), a maximum one or two more.
#pragma once

#include "kernels/cuda/group.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda::reduction {

/// N adjacent elements of up to kLargest bytes, as they are in memory.
template <int N, int kLargest>
struct Raw {
  uint32_t words[N * kLargest < 4 ? 1 : N * kLargest / 4];

  /// Reads kBytes in accesses of up to 16 bytes, to which `p` is aligned.
  template <int kBytes>
  __device__ __forceinline__ void load(const char* p) {
    if constexpr (kBytes >= 16) {
#pragma unroll
      for (int i = 0; i < kBytes / 16; ++i) {
        const uint4 v = *reinterpret_cast<const uint4*>(p + 16 * i);
        words[4 * i] = v.x;
        words[4 * i + 1] = v.y;
        words[4 * i + 2] = v.z;
        words[4 * i + 3] = v.w;
      }
    } else if constexpr (kBytes == 8) {
      const uint2 v = *reinterpret_cast<const uint2*>(p);
      words[0] = v.x;
      words[1] = v.y;
    } else if constexpr (kBytes == 4) {
      words[0] = *reinterpret_cast<const uint32_t*>(p);
    } else if constexpr (kBytes == 2) {
      words[0] = *reinterpret_cast<const uint16_t*>(p);
    } else {
      words[0] = *reinterpret_cast<const uint8_t*>(p);
    }
  }
};

template <int kBytes>
using Bytes = std::integral_constant<int, kBytes>;

/// Values<A>: kColumns, how many neighbouring columns a thread reads at once; and
///
///   visit_size(dtype, f)          calls f(Bytes<size>) for an element's size
///   decode<size>(dtype, raw, v)   N elements of that size as values
///   store(dtype, out, at, v)      out[at] = v
template <class A>
struct Values;

template <>
struct Values<float> {
  static constexpr int kLargest = 4, kColumns = 4;
  template <class F>
  static __device__ __forceinline__ void visit_size(DType t, const F& f) {
    if (t == DType::Float32)
      f(Bytes<4>{});
    else
      f(Bytes<2>{});
  }
  template <int kSize, int N, int kRoom>
  static __device__ __forceinline__ void decode(DType t, const Raw<N, kRoom>& raw, float (&v)[N]) {
    if constexpr (kSize == 4) {
#pragma unroll
      for (int j = 0; j < N; ++j) v[j] = __uint_as_float(raw.words[j]);
    } else if (t == DType::BFloat16) {
#pragma unroll
      for (int j = 0; j < N; ++j)
        v[j] = __uint_as_float(j % 2 ? raw.words[j / 2] & 0xFFFF0000u : raw.words[j / 2] << 16);
    } else {
#pragma unroll
      for (int j = 0; j < N; ++j) v[j] = Half::to_float(static_cast<uint16_t>(raw.words[j / 2] >> (16 * (j % 2))));
    }
  }
  static __device__ __forceinline__ void store(DType t, void* out, int64_t at, float v) {
    if (t == DType::Float32)
      static_cast<float*>(out)[at] = v;
    else
      static_cast<uint16_t*>(out)[at] = t == DType::BFloat16 ? BFloat16::from_float(v) : Half::from_float(v);
  }
};

template <>
struct Values<double> {
  static constexpr int kLargest = 8, kColumns = 2;
  template <class F>
  static __device__ __forceinline__ void visit_size(DType, const F& f) {
    f(Bytes<8>{});
  }
  template <int kSize, int N>
  static __device__ __forceinline__ void decode(DType, const Raw<N, kLargest>& raw, double (&v)[N]) {
#pragma unroll
    for (int j = 0; j < N; ++j)
      v[j] = __hiloint2double(static_cast<int>(raw.words[2 * j + 1]), static_cast<int>(raw.words[2 * j]));
  }
  static __device__ __forceinline__ void store(DType, void* out, int64_t at, double v) {
    static_cast<double*>(out)[at] = v;
  }
};

/// Floats and the wide unsigned integers, too, may be read, as the signed integers that their bits are
/// (kernels/cuda/reduce_any_all.cu).
template <>
struct Values<int64_t> {
  static constexpr int kLargest = 8, kColumns = 4;
  template <class F>
  static __device__ __forceinline__ void visit_size(DType t, const F& f) {
    switch (t) {
      case DType::Bool:
      case DType::UInt8:
      case DType::Int8: return f(Bytes<1>{});
      case DType::Int16:
      case DType::UInt16:
      case DType::Float16:
      case DType::BFloat16: return f(Bytes<2>{});
      case DType::Int32:
      case DType::UInt32:
      case DType::Float32: return f(Bytes<4>{});
      default: return f(Bytes<8>{});
    }
  }
  template <int kSize, int N>
  static __device__ __forceinline__ void decode(DType t, const Raw<N, kLargest>& raw, int64_t (&v)[N]) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if constexpr (kSize == 1) {
        const uint32_t byte = raw.words[j / 4] >> (8 * (j % 4)) & 0xFFu;
        v[j] = t == DType::Int8 ? static_cast<int8_t>(byte) : static_cast<int>(byte);
      } else if constexpr (kSize == 2) {
        v[j] = static_cast<int16_t>(raw.words[j / 2] >> (16 * (j % 2)));
      } else if constexpr (kSize == 4) {
        v[j] = static_cast<int32_t>(raw.words[j]);
      } else {
        v[j] = static_cast<int64_t>(static_cast<uint64_t>(raw.words[2 * j + 1]) << 32 | raw.words[2 * j]);
      }
    }
  }
  static __device__ __forceinline__ void store(DType t, void* out, int64_t at, int64_t v) {
    visit_size(t, [&](auto size) {
      if constexpr (size.value == 1)
        static_cast<uint8_t*>(out)[at] = static_cast<uint8_t>(v);
      else if constexpr (size.value == 2)
        static_cast<int16_t*>(out)[at] = static_cast<int16_t>(v);
      else if constexpr (size.value == 4)
        static_cast<int32_t*>(out)[at] = static_cast<int32_t>(v);
      else
        static_cast<int64_t*>(out)[at] = v;
    });
  }
};

/// Reads U runs of N adjacent elements, run u at address(u), all on their way before the first is waited for.
template <class A, int N, int U, class F>
__device__ __forceinline__ void load_runs(DType t, Raw<N, Values<A>::kLargest> (&raw)[U], const F& address) {
  Values<A>::visit_size(t, [&](auto size) {
#pragma unroll
    for (int u = 0; u < U; ++u) raw[u].template load<N * size.value>(address(u));
  });
}

/// N elements as values.
template <class A, int N>
__device__ __forceinline__ void decode(DType t, const Raw<N, Values<A>::kLargest>& raw, A (&v)[N]) {
  Values<A>::visit_size(t, [&](auto size) { Values<A>::template decode<size.value>(t, raw, v); });
}

/// N neighbouring elements from place `at` on, which is a multiple of N, of an array aligned to 16 bytes. Integers go by
/// their lowest bits.
template <class A, int N>
__device__ __forceinline__ void store_run(DType t, void* out, int64_t at, const A (&v)[N]) {
  if constexpr (N == 1) {
    Values<A>::store(t, out, at, v[0]);
  } else {
    auto put = [&](auto zero, const auto& convert) {
      using T = decltype(zero);
      Vector<N, T> all;
#pragma unroll
      for (int j = 0; j < N; ++j) all.v[j] = convert(v[j]);
      *reinterpret_cast<Vector<N, T>*>(static_cast<T*>(out) + at) = all;
    };
    if constexpr (std::is_same_v<A, float>) {
      if (t == DType::Float32)
        put(float{}, [](float x) { return x; });
      else if (t == DType::BFloat16)
        put(uint16_t{}, [](float x) { return BFloat16::from_float(x); });
      else
        put(uint16_t{}, [](float x) { return Half::from_float(x); });
    } else if constexpr (std::is_same_v<A, double>) {
      put(double{}, [](double x) { return x; });
    } else {
      Values<A>::visit_size(t, [&](auto size) {
        if constexpr (size.value == 1)
          put(uint8_t{}, [](int64_t x) { return static_cast<uint8_t>(x); });
        else if constexpr (size.value == 2)
          put(uint16_t{}, [](int64_t x) { return static_cast<uint16_t>(x); });
        else if constexpr (size.value == 4)
          put(uint32_t{}, [](int64_t x) { return static_cast<uint32_t>(x); });
        else
          put(int64_t{}, [](int64_t x) { return x; });
      });
    }
  }
}

/// Calls f(TypeTag<A>) for the type that elements of dtype `t` are reduced in. \throws NotImplementedError for complex.
template <class F>
void visit_value_type(DType t, const F& f) {
  visit_all(t, [&](auto tag) { f(TypeTag<SumType<typename decltype(tag)::type>>{}); });
}

}  // namespace norch::kernels::cuda::reduction
