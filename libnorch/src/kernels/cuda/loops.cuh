// Elementwise kernels over a Plan on the GPU.
//
//   elementwise<Out, In...>(plan, f)            out = f(in...), 0 to 4 inputs
//   elementwise2<Out0, Out1, In...>(plan, f)    {out0, out1} = f(in...), 0 to 3 inputs; f returns a Two
//
// Template arguments are the element types of the plan's operands (elements.cuh), in its order. The functor f is copied
// to the device; it gets ComputeType values and returns something that converts to the output's type. Operands that the
// plan calls immediate (0-d CPU tensors) travel as kernel arguments.
//
// Two kernels are compiled for each combination of types and functor: one with 16-byte accesses, for adjacent or
// repeated elements along dim 0, and one for any strides. Both keep several independent loads in flight. For elements of
// 8 bytes the second does as well alone: a warp's access is 256 bytes then.
#pragma once

#include <utility>

#include "kernels/cuda/elements.cuh"

namespace norch::kernels::cuda {

/// What a functor of two outputs returns.
template <class A, class B>
struct Two {
  A first;
  B second;
};

/// The functor that takes F's place where AnyFloat are of 16 bits, for a specialisation to name: one that does not
/// compute what rounding would drop. It is default-constructed.
template <class F>
struct ForNarrow {
  using type = F;
};

namespace loops {

template <class... T>
struct Types {};

/// The values of input number I that one thread holds.
template <size_t I, class V, int N>
struct Slot {
  V x[N];
};
template <int N, class Seq, class... V>
struct Slots;
template <int N, size_t... I, class... V>
struct Slots<N, std::index_sequence<I...>, V...> : Slot<I, V, N>... {};

template <size_t I, class V, int N>
__device__ __forceinline__ V& get(Slot<I, V, N>& s, int u) {
  return s.x[u];
}

constexpr int largest(std::initializer_list<int> sizes) {
  int n = 1;
  for (int s : sizes) n = s > n ? s : n;
  return n;
}

template <int N>
__device__ __forceinline__ void find_offsets(const Walk& w, uint32_t unit, uint32_t (&offset)[N]) {
#pragma unroll
  for (int k = 0; k < N; ++k) offset[k] = 0;
#pragma unroll 1
  for (int d = 0; d + 1 < w.ndim; ++d) {
    uint32_t index = unit;
    unit = w.size[d].divide_in_place(index);
#pragma unroll
    for (int k = 0; k < N; ++k) offset[k] += index * w.strides[k][d];
  }
#pragma unroll
  for (int k = 0; k < N; ++k) offset[k] += unit * w.strides[k][w.ndim - 1];
}

template <class F, class Outs, class Ins, class Seq>
struct Job;

template <class F, class... Out, class... In, size_t... I>
struct Job<F, Types<Out...>, Types<In...>, std::index_sequence<I...>> {
  using Functor = F;
  static constexpr int kOuts = sizeof...(Out), kIns = sizeof...(In), kOperands = kOuts + kIns;
  static constexpr int kFull = 16 / largest({static_cast<int>(sizeof(Out))..., static_cast<int>(sizeof(In))...});
  static constexpr int kWidth = kFull >= 4 ? kFull : 1;
  // Loads in flight per thread: two vectors of each input. Four of one input were 2 % slower on an H200.
  static constexpr int kUnroll = 2;
  static constexpr bool kNarrows =
      !std::is_same_v<F, typename ForNarrow<F>::type> && (std::is_same_v<Out, AnyFloat> && ...);

  /// Computes one element of each output.
  template <class G, class Store, class... V>
  static __device__ __forceinline__ void compute(const G& f, const Store& store, const V&... in) {
    if constexpr (kOuts == 1) {
      store(f(static_cast<ComputeType<V>>(in)...));
    } else {
      const auto both = f(static_cast<ComputeType<V>>(in)...);
      store(both.first, both.second);
    }
  }

  template <class T, class V>
  static __device__ __forceinline__ void put(const Walk& w, int k, uint32_t offset, V value) {
    using Held = typename HeldAs<T>::type;
    store_vector(w, w.data[k] + offset, Vector<Held, 1>{{static_cast<Held>(value)}}, static_cast<const T*>(nullptr));
  }

  template <class G>
  static __device__ __forceinline__ void element(const Walk& w, const G& f, const uint32_t (&offset)[kOperands],
                                                 const In&... in) {
    if constexpr (kOuts == 1) {
      compute(f, [&](auto v) { put<Out...>(w, 0, offset[0], v); }, value_of(w, kOuts + static_cast<int>(I), in)...);
    } else {
      auto store = [&](auto a, auto b) { put_both<Out...>(w, offset, a, b); };
      compute(f, store, value_of(w, kOuts + static_cast<int>(I), in)...);
    }
  }
  template <class A, class B, class X, class Y>
  static __device__ __forceinline__ void put_both(const Walk& w, const uint32_t (&offset)[kOperands], X a, Y b) {
    put<A>(w, 0, offset[0], a);
    put<B>(w, 1, offset[1], b);
  }

  template <class G>
  static __device__ __forceinline__ void elements(const Walk& w, const G& f) {
    constexpr int kCount = 4;
    const uint32_t first = blockIdx.x * (blockDim.x * kCount) + threadIdx.x;
    Slots<kCount, std::index_sequence<I...>, In...> in;
    uint32_t offset[kCount][kOperands];
#pragma unroll
    for (int u = 0; u < kCount; ++u) {
      const uint32_t i = first + u * blockDim.x;
      if (i >= w.units) continue;
      find_offsets(w, i, offset[u]);
      ((get<I>(in, u) = load_one<In>(w, kOuts + static_cast<int>(I), offset[u][kOuts + I])), ...);
    }
#pragma unroll
    for (int u = 0; u < kCount; ++u)
      if (first + u * blockDim.x < w.units) element(w, f, offset[u], get<I>(in, u)...);
  }

  template <class G>
  static __device__ __forceinline__ void vectors(const Walk& w, const G& f) {
    const uint32_t first = blockIdx.x * (blockDim.x * kUnroll) + threadIdx.x;
    Slots<kUnroll, std::index_sequence<I...>, Loaded<In, kWidth>...> in;
    uint32_t offset[kUnroll][kOperands];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const uint32_t i = first + u * blockDim.x;
      if (i >= w.units) continue;
      find_offsets(w, i, offset[u]);
      ((get<I>(in, u) = load_vector<In, kWidth>(w, kOuts + static_cast<int>(I), offset[u][kOuts + I])), ...);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (first + u * blockDim.x >= w.units) continue;
      Slots<1, std::make_index_sequence<kOuts>, Vector<typename HeldAs<Out>::type, kWidth>...> out;
      compute_vector(f, out, values_of(w, kOuts + static_cast<int>(I), get<I>(in, u))...);
      store_vectors(w, offset[u], out, std::make_index_sequence<kOuts>());
    }
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x < w.tail) {
      const uint32_t i = w.units * kWidth + threadIdx.x;
      const int sizes[kOperands] = {size_of<Out>(w)..., size_of<In>(w)...};
      uint32_t at[kOperands];
#pragma unroll
      for (int k = 0; k < kOperands; ++k) at[k] = ((w.repeated >> k) & 1) ? 0 : i * sizes[k];
      element(w, f, at, load_one<In>(w, kOuts + static_cast<int>(I), at[kOuts + I])...);
    }
  }

  template <class G, class Outputs, class... V>
  static __device__ __forceinline__ void compute_vector(const G& f, Outputs& out, const V&... in) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      if constexpr (kOuts == 1) {
        auto& o = get<0>(out, 0).v[j];
        compute(f, [&](auto v) { assign(o, v); }, in.v[j]...);
      } else {
        auto& a = get<0>(out, 0).v[j];
        auto& b = get<1>(out, 0).v[j];
        compute(f, [&](auto x, auto y) { assign(a, x); assign(b, y); }, in.v[j]...);
      }
    }
  }
  template <class T, class V>
  static __device__ __forceinline__ void assign(T& to, V value) {
    to = static_cast<T>(value);
  }
  template <class Outputs, size_t... K>
  static __device__ __forceinline__ void store_vectors(const Walk& w, const uint32_t (&offset)[kOperands], Outputs& out,
                                                       std::index_sequence<K...>) {
    (store_vector(w, w.data[K] + offset[K], get<K>(out, 0), static_cast<const Out*>(nullptr)), ...);
  }
};

template <class J, class F>
__global__ void __launch_bounds__(256) vector_kernel(const __grid_constant__ Walk walk, const F f) {
  if constexpr (J::kNarrows)
    if (walk.float_type != DType::Float32) return J::vectors(walk, typename ForNarrow<F>::type{});
  J::vectors(walk, f);
}
template <class J, class F>
__global__ void __launch_bounds__(256) element_kernel(const __grid_constant__ Walk walk, const F f) {
  if constexpr (J::kNarrows)
    if (walk.float_type != DType::Float32) return J::elements(walk, typename ForNarrow<F>::type{});
  J::elements(walk, f);
}

template <class J>
void launch_walk(const Walk& walk, bool vectors, const void* context) {
  using F = typename J::Functor;
  const F& f = *static_cast<const F*>(context);
  const uint32_t unroll = vectors && J::kWidth > 1 ? J::kUnroll : 4;
  // Small blocks spread small work over more multiprocessors.
  const uint32_t threads = walk.units / (256 * unroll) >= static_cast<uint32_t>(limits().multiprocessors) ? 256 : 64;
  const uint32_t blocks = walk.units ? (walk.units - 1) / (threads * unroll) + 1 : 1;
  if constexpr (J::kWidth > 1)
    if (vectors) return launch(vector_kernel<J, F>, blocks, threads, 0, walk, f);
  launch(element_kernel<J, F>, blocks, threads, 0, walk, f);
}

}  // namespace loops

template <class Out, class... In, class F>
void elementwise(const Plan& plan, const F& f) {
  using J = loops::Job<F, loops::Types<Out>, loops::Types<In...>, std::index_sequence_for<In...>>;
  for_each_walk(plan, J::kWidth, loops::launch_walk<J>, &f);
}

template <class Out0, class Out1, class... In, class F>
void elementwise2(const Plan& plan, const F& f) {
  using J = loops::Job<F, loops::Types<Out0, Out1>, loops::Types<In...>, std::index_sequence_for<In...>>;
  for_each_walk(plan, J::kWidth, loops::launch_walk<J>, &f);
}

}  // namespace norch::kernels::cuda
