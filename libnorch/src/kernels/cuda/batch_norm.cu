// One pass over x for the statistics, one over g and x for the sums of the gradients, each with a launch over the channels
// that joins the parts and computes everything else.
#include "kernels/batch_norm.h"

#include "kernels/cuda/channel_columns.cuh"
#include "kernels/cuda/norm.cuh"
#include "kernels/reduce.h"

namespace norch::kernels::cuda {

namespace {

/// Number, mean and sum of squared deviations of what threads have seen, V columns side by side.
template <int V, class C>
struct Moments {
  int n;
  C mean[V], m2[V];

  __device__ __forceinline__ void join(const Moments& o) {
    if (o.n == 0) return;
    const C weight = static_cast<C>(o.n) / static_cast<C>(n + o.n);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C delta = o.mean[j] - mean[j];
      mean[j] += delta * weight;
      m2[j] += o.m2[j] + delta * delta * (static_cast<C>(n) * weight);
    }
    n += o.n;
  }
};

/// partial[part][mean, squared deviations][channel] over the rows of each part.
template <int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) stats_columns_kernel(C* partial, const T* x, Columns s) {
  using Own = Moments<V, C>;
  __shared__ Own room[kThreads / 2];
  const int64_t column = s.column<V>(), last = s.last_row();
  Own own{};
  if (column < s.channels && s.first_row() < last) {
    // Differences from the first value: exact sums of squares, whatever the mean.
    const Vector<V, T> first = load_vector<V>(x + s.first_row() * s.channels + column);
    C a[V] = {}, b[V] = {};
#pragma unroll 4
    for (int64_t r = s.first_row(); r < last; r += blockDim.y) {
      const Vector<V, T> v = load_vector<V>(x + r * s.channels + column);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        const C d = static_cast<C>(v.v[j]) - static_cast<C>(first.v[j]);
        a[j] += d;
        b[j] += d * d;
      }
    }
    own.n = static_cast<int>((last - s.first_row() + blockDim.y - 1) / blockDim.y);
    const C share = C(1) / static_cast<C>(own.n);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      own.mean[j] = static_cast<C>(first.v[j]) + a[j] * share;
      const C m2 = b[j] - a[j] * a[j] * share;
      own.m2[j] = m2 < 0 ? C(0) : m2;  // NaN stays
    }
  }
  join_rows(room, own);
  if (threadIdx.y != 0 || column >= s.channels) return;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    partial[blockIdx.x * 2 * s.channels + column + j] = own.mean[j];
    partial[(blockIdx.x * 2 + 1) * s.channels + column + j] = own.m2[j];
  }
}

/// The sum of `value` over threadIdx.y, in order, for each of 32 columns; all threads get it.
template <class C>
__device__ __forceinline__ C sum_runs(C (&runs)[32][33], C value) {
  runs[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  C sum = 0;
  for (int i = 0; i < 32; ++i) sum += runs[i][threadIdx.x];
  __syncthreads();
  return sum;
}

/// Joins the parts' moments: 32 channels and 32 runs of parts a block.
template <class C>
__global__ void __launch_bounds__(1024) join_stats_kernel(BatchScales<C> s, const C* partial, int64_t rows,
                                                          int64_t per_part, int64_t parts, int64_t channels) {
  __shared__ C runs[32][33];
  const int64_t k = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  const bool inside = k < channels;
  const auto count = [&](int64_t part) { return static_cast<C>(min(per_part, rows - part * per_part)); };
  const C center = inside ? partial[k] : C(0), share = C(1) / static_cast<C>(rows);
  C sum = 0;
  if (inside)
    for (int64_t part = threadIdx.y; part < parts; part += 32)
      sum += count(part) * share * (partial[part * 2 * channels + k] - center);
  const C mean = center + sum_runs(runs, sum);
  sum = 0;
  if (inside)
    for (int64_t part = threadIdx.y; part < parts; part += 32) {
      const C d = partial[part * 2 * channels + k] - mean;
      sum += partial[(part * 2 + 1) * channels + k] + count(part) * d * d;
    }
  const C m2 = sum_runs(runs, sum);
  if (inside && threadIdx.y == 0) s.from_batch(k, mean, m2 * share);
}

/// From the running statistics (var null), or from mean and variance as they are in s.mean and var.
template <class C>
__global__ void __launch_bounds__(kThreads) scales_kernel(BatchScales<C> s, const C* var, int64_t channels) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= channels) return;
  if (var)
    s.from_batch(k, s.mean[k], var[k]);
  else
    s.from_running(k);
}

template <class C>
__global__ void __launch_bounds__(1024) join_slopes_kernel(BatchSlopes<C> s, const C* partial, int64_t parts,
                                                           int64_t channels) {
  __shared__ C runs[32][33];
  const int64_t k = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  C g = 0, gx = 0;
  if (k < channels)
    for (int64_t part = threadIdx.y; part < parts; part += 32) {
      g += partial[part * 2 * channels + k];
      gx += partial[(part * 2 + 1) * channels + k];
    }
  g = sum_runs(runs, g);
  gx = sum_runs(runs, gx);
  if (k < channels && threadIdx.y == 0) s.set(k, g, gx);
}

}  // namespace

void batch_stats(const ChannelShape& shape, const BatchStats& stats, const Tensor& x) {
  const auto run = [&](auto zero) {
    using C = decltype(zero);
    const BatchScales<C> s(stats, static_cast<double>(shape.outer * shape.inner));
    const unsigned blocks = blocks_for(shape.channels, kThreads);
    if (!x.defined()) return launch(scales_kernel<C>, blocks, kThreads, 0, s, nullptr, shape.channels);
    if (shape.inner > 1) {
      const Tensor var = new_tensor({shape.channels}, dtype_of<C>, x.device());
      MomentsArgs args;
      args.correction = 0;
      moments(make_reduce_plan(x, ~uint64_t{2}), stats.mean, var, args);
      return launch(scales_kernel<C>, blocks, kThreads, 0, s, pointer<C>(var), shape.channels);
    }
    visit_float("batch_norm", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_same_v<ComputeType<T>, C>) {
        with_columns<T>(shape, {x.data_ptr()}, [&](const Columns& columns, dim3 grid, dim3 block, auto width) {
          const Tensor partial = room_for<C>(columns.parts, shape.channels, x.device());
          launch(stats_columns_kernel<decltype(width)::value, T>, grid, block, 0, output<C>(partial), pointer<T>(x),
                 columns);
          launch(join_stats_kernel<C>, blocks_for(shape.channels, 32), dim3(32, 32), 0, s, pointer<C>(partial), shape.outer,
                 columns.per_part, columns.parts, shape.channels);
        });
      }
    });
  };
  stats.mean.dtype() == DType::Float64 ? run(0.0) : run(0.0f);
}

void batch_gradients(const ChannelShape& shape, const BatchGradients& d, const Tensor& g, const Tensor& x) {
  visit_float("batch_norm", x.dtype(), [&](auto tag) {
    using C = ComputeType<typename decltype(tag)::type>;
    int64_t parts = 0;
    const Tensor partial = channel_partial_sums(shape, g, x, d.mean, parts);
    launch(join_slopes_kernel<C>, blocks_for(shape.channels, 32), dim3(32, 32), 0,
           BatchSlopes<C>(d, static_cast<double>(shape.outer * shape.inner)), pointer<C>(partial), parts, shape.channels);
  });
}

}  // namespace norch::kernels::cuda
