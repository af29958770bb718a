// Normalisation by channels: batch, instance and group norm.
#include "kernels/cuda/channel_columns.cuh"
#include "kernels/cuda/norm.cuh"

namespace norch::kernels::cuda {

namespace {

/// Two sums for each of V columns.
template <int V, class C>
struct SumPairs {
  C a[V], b[V];
  __device__ __forceinline__ void join(const SumPairs& o) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
      a[j] += o.a[j];
      b[j] += o.b[j];
    }
  }
};

template <int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) channel_columns_kernel(C* partial, const T* g, const T* x, const C* mean,
                                                                   Columns s) {
  using Own = SumPairs<V, C>;
  __shared__ Own room[kThreads / 2];
  const int64_t column = s.column<V>(), last = s.last_row();
  Own own{};
  if (column < s.channels) {
    g += s.sample();
    x += s.sample();
    C center[V];
#pragma unroll
    for (int j = 0; j < V; ++j) center[j] = mean[s.sample_channels() + column + j];
#pragma unroll 4
    for (int64_t r = s.first_row(); r < last; r += blockDim.y) {
      const Vector<V, T> u = load_vector<V>(g + r * s.channels + column), v = load_vector<V>(x + r * s.channels + column);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        const C d = static_cast<C>(u.v[j]);
        own.a[j] += d;
        own.b[j] += d * (static_cast<C>(v.v[j]) - center[j]);
      }
    }
  }
  join_rows(room, own);
  if (threadIdx.y != 0 || column >= s.channels) return;
  const int64_t all = s.samples * s.channels;
  partial += blockIdx.x * 2 * all + s.sample_channels() + column;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    partial[j] = own.a[j];
    partial[all + j] = own.b[j];
  }
}

/// One block per channel and part.
template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) channel_rows_kernel(C* partial, const T* g, const T* x, const C* mean,
                                                                ChannelShape s, int64_t per_part) {
  const int64_t k = blockIdx.x, last = min((blockIdx.y + 1) * per_part, s.outer);
  const C center = mean[k];
  C a = 0, b = 0;
  auto add = [&](int64_t at) {
    const C d = static_cast<C>(g[at]);
    a += d;
    b += d * (static_cast<C>(x[at]) - center);
  };
  // Short runs share the block's threads: `lanes` threads each.
  const int lanes = s.inner >= kThreads ? kThreads : 1 << (31 - __clz(static_cast<int>(s.inner)));
  const int lane = threadIdx.x % lanes, together = kThreads / lanes;
  for (int64_t r = blockIdx.y * per_part + threadIdx.x / lanes; r < last; r += together) {
    const int64_t base = (r * s.channels + k) * s.inner;
#pragma unroll 4
    for (int64_t i = lane; i < s.inner; i += lanes) add(base + i);
  }
  const Sums<C> all = Group(kThreads).sum(Sums<C>{a, b});
  if (threadIdx.x != 0) return;
  partial[blockIdx.y * 2 * s.channels + k] = all.a;
  partial[(blockIdx.y * 2 + 1) * s.channels + k] = all.b;
}

constexpr int kRunVectors = 4;  // that a thread of affine_runs_kernel takes

/// out = a x + b y + c by channel; V neighbouring elements a thread, Index wide enough for all.
template <bool kTwo, int V, class Index, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) affine_kernel(T* out, const T* x, const T* y, const C* a, const C* b,
                                                          const C* c, Index vectors, Index channels, Index inner) {
  const Index v = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (v >= vectors) return;
  const Index first = v * V;
  Index run = first / inner, at = first - run * inner, k = run % channels;
  const Vector<V, T> u = reinterpret_cast<const Vector<V, T>*>(x)[v];
  Vector<V, T> w{}, o;
  if (kTwo) w = reinterpret_cast<const Vector<V, T>*>(y)[v];
#pragma unroll
  for (int j = 0; j < V; ++j) {
    C r = static_cast<C>(u.v[j]) * a[k] + c[k];
    if (kTwo) r += static_cast<C>(w.v[j]) * b[k];
    o.v[j] = static_cast<T>(r);
    if (++at == inner) {
      at = 0;
      if (++k == channels) k = 0;
    }
  }
  reinterpret_cast<Vector<V, T>*>(out)[v] = o;
}

/// The same where `inner` vectors lie in one channel: a thread takes several vectors, loads all of them before the first
/// store, and reads its channel's numbers once for each. `inner` and `vectors` count vectors.
template <bool kTwo, int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) affine_runs_kernel(T* out, const T* x, const T* y, const C* a, const C* b,
                                                               const C* c, uint32_t vectors, uint32_t channels,
                                                               uint32_t inner) {
  const uint32_t first = blockIdx.x * (kThreads * kRunVectors) + threadIdx.x;
  if (first >= vectors) return;
  const auto* const from = reinterpret_cast<const Vector<V, T>*>(x);
  const auto* const also = reinterpret_cast<const Vector<V, T>*>(y);
  Vector<V, T> u[kRunVectors], w[kRunVectors];
  // Behind the end the first vector is read again: no load waits for a condition.
#pragma unroll
  for (int i = 0; i < kRunVectors; ++i) {
    const uint32_t v = first + i * kThreads < vectors ? first + i * kThreads : first;
    u[i] = from[v];
    if (kTwo) w[i] = also[v];
  }
#pragma unroll
  for (int i = 0; i < kRunVectors; ++i) {
    const uint32_t v = first + i * kThreads;
    if (v >= vectors) return;
    const uint32_t k = v / inner % channels;
    const C by_x = a[k], by_y = kTwo ? b[k] : C(0), add = c[k];
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j) {
      C r = static_cast<C>(u[i].v[j]) * by_x + add;
      if (kTwo) r += static_cast<C>(w[i].v[j]) * by_y;
      o.v[j] = static_cast<T>(r);
    }
    reinterpret_cast<Vector<V, T>*>(out)[v] = o;
  }
}

/// The same where channels are innermost: a thread keeps the numbers of V channels for all its rows.
template <bool kTwo, int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) affine_columns_kernel(T* out, const T* x, const T* y, const C* a, const C* b,
                                                                  const C* c, Columns s) {
  const int64_t column = s.column<V>(), last = s.last_row();
  if (column >= s.channels) return;
  const int64_t first = s.sample_channels() + column;
  C by_x[V], by_y[V], add[V];
#pragma unroll
  for (int j = 0; j < V; ++j) {
    by_x[j] = a[first + j];
    by_y[j] = kTwo ? b[first + j] : C(0);
    add[j] = c[first + j];
  }
  out += s.sample();
  x += s.sample();
  if (kTwo) y += s.sample();
  // The loads of some rows before the first store, which might write what they read.
  constexpr int kRows = 4;
  for (int64_t r = s.first_row(); r < last; r += kRows * blockDim.y) {
    Vector<V, T> u[kRows], w[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int64_t at = (r + i * blockDim.y) * s.channels + column;
      if (r + i * blockDim.y >= last) break;
      u[i] = load_vector<V>(x + at);
      if (kTwo) w[i] = load_vector<V>(y + at);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int64_t at = (r + i * blockDim.y) * s.channels + column;
      if (r + i * blockDim.y >= last) break;
      Vector<V, T> o;
#pragma unroll
      for (int j = 0; j < V; ++j) {
        C value = static_cast<C>(u[i].v[j]) * by_x[j] + add[j];
        if (kTwo) value += static_cast<C>(w[i].v[j]) * by_y[j];
        o.v[j] = static_cast<T>(value);
      }
      *reinterpret_cast<Vector<V, T>*>(out + at) = o;
    }
  }
}

}  // namespace

void channel_affine(const ChannelShape& s, const Tensor& out, const Tensor& x, const Tensor& a, const Tensor& y,
                    const Tensor& b, const Tensor& c) {
  visit_float("batch_norm", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    constexpr int V = 16 / sizeof(T);
    const int64_t total = s.outer * s.channels * s.inner;
    if (s.inner == 1) {
      const auto columns = [&](auto two) {
        constexpr bool kTwo = decltype(two)::value;
        with_columns<T>(
            s, {out.data_ptr(), x.data_ptr(), kTwo ? y.data_ptr() : nullptr},
            [&](const Columns& shape, dim3 grid, dim3 block, auto width) {
              launch(affine_columns_kernel<kTwo, decltype(width)::value, T>, grid, block, 0, out.data<T>(), x.data<T>(),
                     pointer<T>(y), a.data<C>(), pointer<C>(b), c.data<C>(), shape);
            },
            8, 8192);
      };
      return y.defined() ? columns(std::true_type{}) : columns(std::false_type{});
    }
    auto go = [&](auto kernel, int width) {
      launch(kernel, blocks_for(total / width, kThreads), kThreads, 0, out.data<T>(), x.data<T>(), pointer<T>(y),
             a.data<C>(), pointer<C>(b), c.data<C>(), total / width, s.channels, s.inner);
    };
    auto pick = [&](auto two) {
      constexpr bool kTwo = decltype(two)::value;
      const bool vectors = total % V == 0 && aligned({out.data_ptr(), x.data_ptr(), kTwo ? y.data_ptr() : nullptr});
      if (vectors && s.inner % V == 0 && total < (int64_t{1} << 31))
        launch(affine_runs_kernel<kTwo, V, T>, blocks_for(total / V, kThreads * kRunVectors), kThreads, 0, out.data<T>(),
               x.data<T>(), pointer<T>(y), a.data<C>(), pointer<C>(b), c.data<C>(), total / V, s.channels, s.inner / V);
      else if (total < (int64_t{1} << 31))
        vectors ? go(affine_kernel<kTwo, V, uint32_t, T>, V) : go(affine_kernel<kTwo, 1, uint32_t, T>, 1);
      else
        go(affine_kernel<kTwo, 1, int64_t, T>, 1);
    };
    y.defined() ? pick(std::true_type{}) : pick(std::false_type{});
  });
}

Tensor channel_partial_sums(const ChannelShape& s, const Tensor& g, const Tensor& x, const Tensor& mean,
                            int64_t& parts) {
  Tensor partial;
  visit_float("batch_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const auto make = [&](int64_t count) {
      parts = count;
      partial = room_for<C>(parts, s.samples * s.channels, x.device());
      return output<C>(partial);
    };
    if (s.inner == 1)
      return with_columns<T>(s, {g.data_ptr(), x.data_ptr()},
                             [&](const Columns& columns, dim3 grid, dim3 block, auto width) {
                               launch(channel_columns_kernel<decltype(width)::value, T>, grid, block, 0,
                                      make(columns.parts), g.data<T>(), x.data<T>(), mean.data<C>(), columns);
                             });
    const Parts p(s.outer, s.channels, std::max<int64_t>(1, 4096 / s.inner));
    launch(channel_rows_kernel<T>, dim3(static_cast<unsigned>(s.channels), static_cast<unsigned>(p.parts)), kThreads, 0,
           make(p.parts), g.data<T>(), x.data<T>(), mean.data<C>(), s, p.per_part);
  });
  return partial;
}

void channel_sums(const ChannelShape& s, const Tensor& sum_g, const Tensor& sum_gx, const Tensor& g, const Tensor& x,
                  const Tensor& mean) {
  int64_t parts = 0;
  const Tensor partial = channel_partial_sums(s, g, x, mean, parts);
  visit_float("batch_norm", x.dtype(), [&](auto tag) {
    join_parts<ComputeType<typename decltype(tag)::type>>({sum_g, sum_gx}, partial, s.samples * s.channels, parts);
  });
}

}  // namespace norch::kernels::cuda
