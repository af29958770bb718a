#include "kernels/optim.h"

#include "kernels/cuda/optim_update.cuh"

namespace norch::kernels::cuda {

using namespace optim_update;

namespace {

/// Joins one value per thread in a fixed order; the result is thread 0's.
template <NormKind K>
__device__ __forceinline__ double join_block(double v) {
  __shared__ double parts[kThreads];
  parts[threadIdx.x] = v;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] = norm_join<K>(parts[threadIdx.x], parts[threadIdx.x + half]);
  }
  return parts[0];
}

template <class T, NormKind K>
__global__ void __launch_bounds__(kThreads) norm_kernel(const __grid_constant__ Table table, double p, double* partial) {
  using Vector = loops::Vector<T, kWidth<T>>;
  constexpr int W = kWidth<T>;
  const int i = find_tensor(table, blockIdx.x);
  const T* x = static_cast<const T*>(table.data[0][i]);
  const int64_t begin = (blockIdx.x - table.first_block[i]) * kNormChunk;
  const int64_t n = table.n[i], end = begin + kNormChunk < n ? begin + kNormChunk : n;
  double joined = 0;
  int64_t done = begin;
  if (table.aligned[i]) {
    done = end - (end - begin) % W;
    for (int64_t j = begin + threadIdx.x * W; j < done; j += kThreads * W) {
      const Vector v = *reinterpret_cast<const Vector*>(x + j);
#pragma unroll
      for (int k = 0; k < W; ++k)
        joined = norm_join<K>(norm_term<K>(static_cast<double>(static_cast<ComputeType<T>>(v.v[k])), p), joined);
    }
  }
  for (int64_t j = done + threadIdx.x; j < end; j += kThreads)
    joined = norm_join<K>(norm_term<K>(static_cast<double>(static_cast<ComputeType<T>>(x[j])), p), joined);
  joined = join_block<K>(joined);
  if (threadIdx.x == 0) partial[blockIdx.x] = joined;
}

template <NormKind K>
__global__ void __launch_bounds__(kThreads) finish_kernel(const double* partial, int64_t n, double p, double max_norm,
                                                          double* result) {
  double joined = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) joined = norm_join<K>(partial[i], joined);
  joined = join_block<K>(joined);
  if (threadIdx.x == 0) finish_norm(joined, p, max_norm, result);
}

/// x = f(x) for the elements of this block's chunk.
template <class T, class F>
__device__ __forceinline__ void map_chunk(const Table& table, const F& f) {
  using Vector = loops::Vector<T, kWidth<T>>;
  constexpr int W = kWidth<T>;
  const int i = find_tensor(table, blockIdx.x);
  T* x = static_cast<T*>(table.data[0][i]);
  const int64_t begin = (blockIdx.x - table.first_block[i]) * kNormChunk;
  const int64_t end = begin + kNormChunk < table.n[i] ? begin + kNormChunk : table.n[i];
  int64_t done = begin;
  if (table.aligned[i]) {
    done = end - (end - begin) % W;
#pragma unroll 4
    for (int64_t j = begin + threadIdx.x * W; j < done; j += kThreads * W) {
      Vector v = *reinterpret_cast<const Vector*>(x + j);
#pragma unroll
      for (int k = 0; k < W; ++k) v.v[k] = f(v.v[k]);
      *reinterpret_cast<Vector*>(x + j) = v;
    }
  }
  for (int64_t j = done + threadIdx.x; j < end; j += kThreads) x[j] = f(x[j]);
}

template <class T>
__global__ void __launch_bounds__(kThreads) scale_kernel(const __grid_constant__ Table table, const double* coefficient) {
  using C = ComputeType<T>;
  const C by = static_cast<C>(coefficient[1]);
  if (by == C(1)) return;
  map_chunk<T>(table, [by](T v) { return static_cast<T>(static_cast<C>(v) * by); });
}

template <class T>
__global__ void __launch_bounds__(kThreads) narrow_kernel(const __grid_constant__ Table table) {
  constexpr int W = kWidth<T>;
  using In = loops::Vector<float, 4>;
  const int i = find_tensor(table, blockIdx.x);
  const float* __restrict__ from = static_cast<const float*>(table.data[0][i]);
  T* __restrict__ to = static_cast<T*>(table.data[1][i]);
  const int64_t begin = (blockIdx.x - table.first_block[i]) * kNormChunk;
  const int64_t end = begin + kNormChunk < table.n[i] ? begin + kNormChunk : table.n[i];
  int64_t done = begin;  // up to here whole vectors
  if (table.aligned[i]) {
    done = end - (end - begin) % W;
#pragma unroll 4
    for (int64_t j = begin + threadIdx.x * W; j < done; j += kThreads * W) {
      const In low = *reinterpret_cast<const In*>(from + j), high = *reinterpret_cast<const In*>(from + j + W / 2);
      loops::Vector<T, W> out;
#pragma unroll
      for (int k = 0; k < W / 2; ++k) {
        out.v[k] = static_cast<T>(low.v[k]);
        out.v[k + W / 2] = static_cast<T>(high.v[k]);
      }
      *reinterpret_cast<loops::Vector<T, W>*>(to + j) = out;
    }
  }
  for (int64_t j = done + threadIdx.x; j < end; j += kThreads) to[j] = static_cast<T>(from[j]);
}

template <class T>
__global__ void __launch_bounds__(kThreads) unscale_kernel(const __grid_constant__ Table table, const float* inverse_scale,
                                                           float* found_inf) {
  using C = ComputeType<T>;
  const C by = static_cast<C>(*inverse_scale);
  bool odd = false;
  map_chunk<T>(table, [by, &odd](T v) {
    const C c = static_cast<C>(v);
    odd |= !isfinite(c);
    return static_cast<T>(c * by);
  });
  if (odd) *found_inf = 1.0f;  // whoever writes writes the same
}

__global__ void update_scale_kernel(float* scale, int32_t* tracker, const float* found_inf, double growth, double backoff,
                                    int64_t interval) {
  next_scale(scale, tracker, *found_inf, growth, backoff, interval);
}

}  // namespace

void narrow_list(DType to, const OptimTensors& list) {
  const auto run = [&](auto tag) {
    for_each_table(list, kNormChunk, [&](const Table& table, unsigned blocks) {
      launch(narrow_kernel<typename decltype(tag)::type>, blocks, kThreads, 0, table);
    });
  };
  to == DType::BFloat16 ? run(TypeTag<BFloat16>{}) : run(TypeTag<Half>{});
}

void unscale_list(DType dtype, const OptimTensors& list, const Tensor& inverse_scale, const Tensor& found_inf) {
  visit_float("unscale_", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_table(list, kNormChunk, [&](const Table& table, unsigned blocks) {
      launch(unscale_kernel<T>, blocks, kThreads, 0, table, inverse_scale.data<float>(), found_inf.data<float>());
    });
  });
}

void update_scale(const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf, double growth,
                  double backoff, int64_t interval) {
  launch(update_scale_kernel, 1, 1, 0, scale.data<float>(), growth_tracker.data<int32_t>(), found_inf.data<float>(),
         growth, backoff, interval);
}

void sgd_step(DType dtype, const OptimTensors& list, const optim::SgdOptions& options, const float* skip) {
  visit_sgd(dtype, options, [&](const auto& f, auto tag) { update_all<typename decltype(tag)::type>(list, f, skip); });
}

void adam_step(DType dtype, const OptimTensors& list, const optim::AdamOptions& options, const float* skip) {
  visit_adam(dtype, options, [&](const auto& f, auto tag) {
    update_all<typename decltype(tag)::type>(list, f, skip, {options.lr(), options.beta1(), options.beta2()});
  });
}

void rmsprop_step(DType dtype, const OptimTensors& list, const optim::RmspropOptions& options) {
  visit_rmsprop(dtype, options, [&](const auto& f, auto tag) { update_all<typename decltype(tag)::type>(list, f); });
}

void norm_chunks(DType dtype, const OptimTensors& list, double p, const Tensor& partial) {
  double* out = partial.data<double>();
  visit_float("clip_grad_norm_", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_norm(p, [&](auto kind) {
      for_each_table(list, kNormChunk, [&](const Table& table, unsigned blocks) {
        launch(norm_kernel<T, decltype(kind)::value>, blocks, kThreads, 0, table, p, out);
        out += blocks;
      });
    });
  });
}

void norm_finish(const Tensor& partial, double p, double max_norm, const Tensor& result) {
  visit_norm(p, [&](auto kind) {
    launch(finish_kernel<decltype(kind)::value>, 1, kThreads, 0, partial.data<double>(), partial.numel(), p, max_norm,
           result.data<double>());
  });
}

void scale_list(DType dtype, const OptimTensors& list, const Tensor& coefficient) {
  visit_float("clip_grad_norm_", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_table(list, kNormChunk, [&](const Table& table, unsigned blocks) {
      launch(scale_kernel<T>, blocks, kThreads, 0, table, coefficient.data<double>());
    });
  });
}

}  // namespace norch::kernels::cuda
