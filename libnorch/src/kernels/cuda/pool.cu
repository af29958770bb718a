// One thread per result, or per vector of results where channels lie side by side; gradients gather from the windows that
// hold a position, in order.
#include "kernels/pool.h"

#include <algorithm>

#include "kernels/cuda/group.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

/// Division by a size: places in 32 bits are below 2^31.
template <class I>
struct Divider {
  I size = 1;
  Divider() = default;
  explicit Divider(I n) : size(n) {}
  __device__ I divide(I n) const { return n / size; }
};
template <>
struct Divider<int32_t> {
  FastDivider by;
  Divider() = default;
  explicit Divider(int32_t n) : by(static_cast<uint32_t>(n)) {}
  __device__ int32_t divide(int32_t n) const { return static_cast<int32_t>(by.divide(static_cast<uint32_t>(n))); }
};

/// What the places in a tensor (samples, size..., channels) of vectors are divided by, and the strides.
template <class I>
struct Dividers {
  Divider<I> vectors, size[3], stride[3];
  Dividers(const PoolOf<I>& p, const I (&sizes)[3], int width) : vectors(std::max<I>(p.channels / width, 1)) {
    for (int d = 0; d < 3; ++d) {
      size[d] = Divider<I>(std::max<I>(sizes[d], 1));
      stride[d] = Divider<I>(p.stride[d]);
    }
  }
};

/// Where vector `at` of V elements lies.
template <int V, class I>
struct Place {
  I sample, i[3], channel;
  __device__ Place(I at, const Dividers<I>& by, const I* size, I channels) {
    const I width = channels / V;
    I row = by.vectors.divide(at);
    channel = (at - row * width) * V;
#pragma unroll
    for (int d = 2; d >= 0; --d) {
      const I next = by.size[d].divide(row);
      i[d] = row - next * size[d];
      row = next;
    }
    sample = row;
  }
};

template <int V, class T>
__device__ __forceinline__ Vector<V, T> load(const T* p) {
  return *reinterpret_cast<const Vector<V, T>*>(p);
}

template <class I>
__device__ __forceinline__ I thread_index() {
  return static_cast<I>(blockIdx.x) * 256 + static_cast<I>(threadIdx.x);
}

template <class T, int V, class I>
__global__ void __launch_bounds__(256) max_pool_kernel(PoolOf<I> p, Dividers<I> by, T* out, I* indices, const T* x,
                                                       I n) {
  const I o = thread_index<I>();
  if (o >= n) return;
  using C = ComputeType<T>;
  const Place<V, I> at(o, by, p.out, p.channels);
  const T* src = x + at.sample * p.in_size() * p.channels + at.channel;
  Vector<V, I> best;
  C most[V];
#pragma unroll
  for (int j = 0; j < V; ++j) {
    best.v[j] = -1;
    most[j] = pool_least<C>();
  }
  PoolBox<I>(p, at.i[0], at.i[1], at.i[2]).over(p, [&](I i) {
    const Vector<V, T> values = load<V>(src + i * p.channels);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C v = static_cast<C>(values.v[j]);
      if (v > most[j] || best.v[j] < 0 || v != v) {
        most[j] = v;
        best.v[j] = i;
      }
    }
  });
  Vector<V, T> result;
#pragma unroll
  for (int j = 0; j < V; ++j) result.v[j] = static_cast<T>(most[j]);
  reinterpret_cast<Vector<V, T>*>(out)[o] = result;
  if (indices) reinterpret_cast<Vector<V, I>*>(indices)[o] = best;
}

/// Calls f(o0, o1, o2, where V elements of the window's result lie) for the windows that may hold a position.
template <int V, class I, class F>
__device__ void over_windows(const PoolOf<I>& p, const Dividers<I>& by, const Place<V, I>& at, const F& f) {
  I first[3], last[3];
#pragma unroll
  for (int d = 0; d < 3; ++d)
    pool_windows_at(p, d, at.i[d], first[d], last[d], [&](I n) { return by.stride[d].divide(n); });
  for (I i = first[0]; i < last[0]; ++i)
    for (I j = first[1]; j < last[1]; ++j)
      for (I k = first[2]; k < last[2]; ++k)
        f(i, j, k, (((at.sample * p.out[0] + i) * p.out[1] + j) * p.out[2] + k) * p.channels + at.channel);
}

template <int V, class T, class C, class I>
__device__ __forceinline__ void store(T* to, I at, const C (&sums)[V]) {
  Vector<V, T> result;
#pragma unroll
  for (int j = 0; j < V; ++j) result.v[j] = static_cast<T>(sums[j]);
  reinterpret_cast<Vector<V, T>*>(to)[at] = result;
}

template <class T, int V, class I>
__global__ void __launch_bounds__(256) scatter_kernel(PoolOf<I> p, Dividers<I> by, T* gx, const T* g,
                                                      const I* indices, I n) {
  const I i = thread_index<I>();
  if (i >= n) return;
  using C = ComputeType<T>;
  const Place<V, I> at(i, by, p.in, p.channels);
  const I position = (at.i[0] * p.in[1] + at.i[1]) * p.in[2] + at.i[2];
  C sums[V] = {};
  over_windows(p, by, at, [&](I, I, I, I o) {
    const Vector<V, I> index = load<V>(indices + o);
    const Vector<V, T> grad = load<V>(g + o);
#pragma unroll
    for (int j = 0; j < V; ++j) sums[j] += index.v[j] == position ? static_cast<C>(grad.v[j]) : C(0);
  });
  store(gx, i, sums);
}

template <class T, class I>
__global__ void __launch_bounds__(256) gather_kernel(PoolOf<I> p, T* out, const T* x, const I* indices, I n) {
  const I o = thread_index<I>();
  if (o >= n) return;
  const I sample = o / (p.channels * p.out_size()), channel = o % p.channels;
  out[o] = indices[o] >= 0 ? x[(sample * p.in_size() + indices[o]) * p.channels + channel] : T(0);
}

template <class T, int V, class I>
__global__ void __launch_bounds__(256) avg_pool_kernel(PoolOf<I> p, Dividers<I> by, T* out, const T* x, I n) {
  const I o = thread_index<I>();
  if (o >= n) return;
  using C = ComputeType<T>;
  const Place<V, I> at(o, by, p.out, p.channels);
  const T* src = x + at.sample * p.in_size() * p.channels + at.channel;
  const PoolBox<I> box(p, at.i[0], at.i[1], at.i[2]);
  C sums[V] = {};
  box.over(p, [&](I i) {
    const Vector<V, T> values = load<V>(src + i * p.channels);
#pragma unroll
    for (int j = 0; j < V; ++j) sums[j] += static_cast<C>(values.v[j]);
  });
  const C count = box.empty() ? C(1) : static_cast<C>(box.divisor(p));
#pragma unroll
  for (int j = 0; j < V; ++j) sums[j] /= count;
  store(out, o, sums);
}

template <class T, int V, class I>
__global__ void __launch_bounds__(256) avg_backward_kernel(PoolOf<I> p, Dividers<I> by, T* gx, const T* g,
                                                           I n) {
  const I i = thread_index<I>();
  if (i >= n) return;
  using C = ComputeType<T>;
  const Place<V, I> at(i, by, p.in, p.channels);
  C sums[V] = {};
  over_windows(p, by, at, [&](I o0, I o1, I o2, I o) {
    const PoolBox<I> box(p, o0, o1, o2);
    if (!box.holds(at.i[0], at.i[1], at.i[2])) return;
    const Vector<V, T> grad = load<V>(g + o);
    const C count = static_cast<C>(box.divisor(p));
#pragma unroll
    for (int j = 0; j < V; ++j) sums[j] += static_cast<C>(grad.v[j]) / count;
  });
  store(gx, i, sums);
}

template <class T>
const T* data(const Tensor& t) {
  return static_cast<const T*>(t.data_ptr());
}

/// Elements of a vector: those of 16 bytes where the channels lie side by side in runs of them, otherwise one.
template <class T>
bool takes_vectors(const Pool& p, const Tensor& a, const Tensor& b, const Tensor& indices) {
  constexpr int V = 16 / sizeof(T);
  bool aligned = p.channels % V == 0 && fits_32_bits(p);
  for (const Tensor* t : {&a, &b, &indices})
    aligned &= !t->defined() || reinterpret_cast<uintptr_t>(t->data_ptr()) % 16 == 0;
  return aligned;
}

/// Calls f(p, elements of a vector as a constant) with p in the type that its places need.
template <class T, class F>
void with_geometry(const Pool& p, bool vectors, const F& f) {
  if constexpr (!std::is_integral_v<T>)
    if (vectors) return f(PoolOf<int32_t>(p), std::integral_constant<int, 16 / sizeof(T)>{});
  if (fits_32_bits(p))
    f(PoolOf<int32_t>(p), std::integral_constant<int, 1>{});
  else
    f(p, std::integral_constant<int, 1>{});
}
template <class I>
I index_type(const PoolOf<I>&);

}  // namespace

void max_pool(const Pool& pool, const Tensor& out, const Tensor& indices, const Tensor& x) {
  visit_numbers("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_geometry<T>(pool, takes_vectors<T>(pool, out, x, indices), [&](const auto& p, auto width) {
      using I = decltype(index_type(p));
      constexpr int V = width.value;
      const int64_t n = out.numel() / V;
      launch(max_pool_kernel<T, V, I>, blocks_for(n, 256), 256, 0, p, Dividers<I>(p, p.out, V),
             static_cast<T*>(out.data_ptr()), indices.defined() ? static_cast<I*>(indices.data_ptr()) : nullptr,
             data<T>(x), n);
    });
  });
}

void max_pool_scatter(const Pool& pool, const Tensor& gx, const Tensor& g, const Tensor& indices) {
  visit_float("max_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_geometry<T>(pool, takes_vectors<T>(pool, gx, g, indices), [&](const auto& p, auto width) {
      using I = decltype(index_type(p));
      constexpr int V = width.value;
      const int64_t n = gx.numel() / V;
      launch(scatter_kernel<T, V, I>, blocks_for(n, 256), 256, 0, p, Dividers<I>(p, p.in, V),
             static_cast<T*>(gx.data_ptr()), data<T>(g), data<I>(indices), n);
    });
  });
}

void max_pool_gather(const Pool& pool, const Tensor& out, const Tensor& x, const Tensor& indices) {
  visit_float("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_geometry<T>(pool, false, [&](const auto& p, auto) {
      using I = decltype(index_type(p));
      launch(gather_kernel<T, I>, blocks_for(out.numel(), 256), 256, 0, p, static_cast<T*>(out.data_ptr()), data<T>(x),
             data<I>(indices), out.numel());
    });
  });
}

void avg_pool(const Pool& pool, const Tensor& out, const Tensor& x) {
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_geometry<T>(pool, takes_vectors<T>(pool, out, x, Tensor()), [&](const auto& p, auto width) {
      using I = decltype(index_type(p));
      constexpr int V = width.value;
      const int64_t n = out.numel() / V;
      launch(avg_pool_kernel<T, V, I>, blocks_for(n, 256), 256, 0, p, Dividers<I>(p, p.out, V),
             static_cast<T*>(out.data_ptr()), data<T>(x), n);
    });
  };
  if (out.dtype() == DType::Int64)
    run(TypeTag<int64_t>{});
  else
    visit_float("avg_pool", out.dtype(), run);
}

void avg_pool_backward(const Pool& pool, const Tensor& gx, const Tensor& g) {
  visit_float("avg_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_geometry<T>(pool, takes_vectors<T>(pool, gx, g, Tensor()), [&](const auto& p, auto width) {
      using I = decltype(index_type(p));
      constexpr int V = width.value;
      const int64_t n = gx.numel() / V;
      launch(avg_backward_kernel<T, V, I>, blocks_for(n, 256), 256, 0, p, Dividers<I>(p, p.in, V),
             static_cast<T*>(gx.data_ptr()), data<T>(g), n);
    });
  });
}

}  // namespace norch::kernels::cuda
