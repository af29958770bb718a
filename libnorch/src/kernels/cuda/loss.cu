#include "kernels/loss.h"

#include "core/factory.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;
/// Up to this many elements one block sums in one launch.
constexpr int64_t kOneBlock = 16384;

template <class F, class C>
struct Value {
  C parameter;
  __device__ C operator()(C x, C t) const { return F::value(x, t, parameter); }
};
template <class F, class C, int Order>
struct Derivative {
  C parameter, scale;
  __device__ C operator()(C g, C x, C t) const {
    if constexpr (Order == 1)
      return g * scale * F::first(x, t, parameter);
    else
      return g * scale * F::second(x, t, parameter);
  }
};

/// Sums one value per thread in a fixed order; the result is thread 0's.
__device__ __forceinline__ double sum_block(double v) {
  __shared__ double parts[kThreads];
  parts[threadIdx.x] = v;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  return parts[0];
}

/// Sums [begin, end) of the block; `partial` gets the sum, or `out` the scaled result when there is one block.
template <class T, class F>
__global__ void __launch_bounds__(kThreads) sum_kernel(T* out, double* partial, const T* x, const T* t, int64_t n,
                                                       int64_t per_block, ComputeType<T> parameter, double scale,
                                                       bool vectors) {
  using C = ComputeType<T>;
  constexpr int W = 16 / sizeof(T);
  using Vector = loops::Vector<T, W>;
  const int64_t begin = blockIdx.x * per_block, end = begin + per_block < n ? begin + per_block : n;
  double sum = 0;
  int64_t done = begin;
  if (vectors) {
    done = end - (end - begin) % W;
    for (int64_t i = begin + threadIdx.x * W; i < done; i += kThreads * W) {
      const Vector a = *reinterpret_cast<const Vector*>(x + i), b = *reinterpret_cast<const Vector*>(t + i);
      C part = 0;
#pragma unroll
      for (int k = 0; k < W; ++k) part += F::value(static_cast<C>(a.v[k]), static_cast<C>(b.v[k]), parameter);
      sum += static_cast<double>(part);
    }
  }
  for (int64_t i = done + threadIdx.x; i < end; i += kThreads)
    sum += static_cast<double>(F::value(static_cast<C>(x[i]), static_cast<C>(t[i]), parameter));
  sum = sum_block(sum);
  if (threadIdx.x != 0) return;
  if (partial)
    partial[blockIdx.x] = sum;
  else
    *out = static_cast<T>(static_cast<C>(sum * scale));
}

template <class T>
__global__ void __launch_bounds__(kThreads) finish_kernel(T* out, const double* partial, int64_t n, double scale) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += partial[i];
  sum = sum_block(sum);
  if (threadIdx.x == 0) *out = static_cast<T>(static_cast<ComputeType<T>>(sum * scale));
}

}  // namespace

void loss_value(LossOp op, const Plan& plan, double parameter) {
  visit_loss(op, [&](auto f) {
    visit_float_class("loss", plan.dtype[0], [&](auto tag) {
      using T = typename decltype(tag)::type;
      using C = ComputeType<T>;
      elementwise<T, T, T>(plan, Value<decltype(f), C>{static_cast<C>(parameter)});
    });
  });
}

void loss_sum(LossOp op, const Tensor& out, const Tensor& x, const Tensor& t, double parameter, double scale) {
  const int64_t n = x.numel();
  visit_loss(op, [&](auto f) {
    using F = decltype(f);
    visit_float("loss", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      using C = ComputeType<T>;
      T* to = static_cast<T*>(out.data_ptr());
      const T* xs = static_cast<const T*>(x.data_ptr());
      const T* ts = static_cast<const T*>(t.data_ptr());
      const bool vectors = (reinterpret_cast<uintptr_t>(xs) | reinterpret_cast<uintptr_t>(ts)) % 16 == 0;
      if (n <= kOneBlock) {
        launch(sum_kernel<T, F>, 1, kThreads, 0, to, nullptr, xs, ts, n, kOneBlock, static_cast<C>(parameter), scale,
               vectors);
        return;
      }
      const unsigned blocks = blocks_for(n, kLossChunk);
      const Tensor partial = new_tensor({blocks}, kFloat64, x.device());
      double* parts = partial.data<double>();
      launch(sum_kernel<T, F>, blocks, kThreads, 0, to, parts, xs, ts, n, kLossChunk, static_cast<C>(parameter), scale,
             vectors);
      launch(finish_kernel<T>, 1, kThreads, 0, to, parts, static_cast<int64_t>(blocks), scale);
    });
  });
}

void loss_derivative(LossOp op, int order, const Plan& plan, double parameter, double scale) {
  visit_float_class("loss", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C p = static_cast<C>(parameter), s = static_cast<C>(scale);
    if (order == 1)
      visit_loss(op, [&](auto f) { elementwise<T, T, T, T>(plan, Derivative<decltype(f), C, 1>{p, s}); });
    else
      visit_difference(op, [&](auto f) { elementwise<T, T, T, T>(plan, Derivative<decltype(f), C, 2>{p, s}); });
  });
}

}  // namespace norch::kernels::cuda
