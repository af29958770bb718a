// Normalisation by channels: batch, instance and group norm.
#include "kernels/cuda/norm.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) channel_columns_kernel(C* partial, const T* g, const T* x, const C* mean,
                                                                   int64_t rows, int64_t channels, int64_t per_part) {
  column_sums(partial, channels, rows, per_part, [&](int64_t r, int64_t k, C& a, C& b) {
    const C d = static_cast<C>(g[r * channels + k]);
    a += d;
    b += d * (static_cast<C>(x[r * channels + k]) - mean[k]);
  });
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

bool aligned(std::initializer_list<const void*> pointers) {
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}

}  // namespace

void channel_affine(const ChannelShape& s, const Tensor& out, const Tensor& x, const Tensor& a, const Tensor& y,
                    const Tensor& b, const Tensor& c) {
  visit_float("batch_norm", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    constexpr int V = 16 / sizeof(T);
    const int64_t total = s.outer * s.channels * s.inner;
    auto go = [&](auto kernel, int width) {
      launch(kernel, blocks_for(total / width, kThreads), kThreads, 0, out.data<T>(), x.data<T>(), pointer<T>(y),
             a.data<C>(), pointer<C>(b), c.data<C>(), total / width, s.channels, s.inner);
    };
    auto pick = [&](auto two) {
      constexpr bool kTwo = decltype(two)::value;
      const bool vectors = total % V == 0 && aligned({out.data_ptr(), x.data_ptr(), kTwo ? y.data_ptr() : nullptr});
      if (total < (int64_t{1} << 31))
        vectors ? go(affine_kernel<kTwo, V, uint32_t, T>, V) : go(affine_kernel<kTwo, 1, uint32_t, T>, 1);
      else
        go(affine_kernel<kTwo, 1, int64_t, T>, 1);
    };
    y.defined() ? pick(std::true_type{}) : pick(std::false_type{});
  });
}

void channel_sums(const ChannelShape& s, const Tensor& sum_g, const Tensor& sum_gx, const Tensor& g, const Tensor& x,
                  const Tensor& mean) {
  visit_float("batch_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const bool columns = s.inner == 1;
    const unsigned blocks = columns ? blocks_for(s.channels, 32) : static_cast<unsigned>(s.channels);
    const Parts p(s.outer, blocks, columns ? 32 : std::max<int64_t>(1, 4096 / s.inner));
    const Tensor partial = room_for<C>(p.parts, s.channels, x.device());
    const dim3 grid(blocks, static_cast<unsigned>(p.parts));
    if (columns)
      launch(channel_columns_kernel<T>, grid, dim3(32, kThreads / 32), 0, partial.data<C>(), g.data<T>(), x.data<T>(),
             mean.data<C>(), s.outer, s.channels, p.per_part);
    else
      launch(channel_rows_kernel<T>, grid, kThreads, 0, partial.data<C>(), g.data<T>(), x.data<T>(), mean.data<C>(), s,
             p.per_part);
    join_parts<C>(sum_g, sum_gx, partial, s.channels, p.parts);
  });
}

}  // namespace norch::kernels::cuda
