#include "kernels/activation.h"

#include "kernels/cuda/loops.cuh"
#include "kernels/cuda/norm_rows.cuh"

namespace norch::kernels::cuda {

namespace {

/// Gelu and its derivative for 16-bit floats, to 3e-6 of themselves, far below half a unit of their last place; with erff
/// the kernel waited for arithmetic, not for memory. The lesser tail P(N(0, 1) <= -|x|) is exp(-x^2 / 2) times a polynomial
/// in 1 / (1 + p |x|), the form of Abramowitz and Stegun 7.1.26 with coefficients of least relative error over |x| < 13.2,
/// beyond which the exponential is 0 in float32.
struct NarrowGelu {
  float bell;  // exp(-x^2 / 2)
  float cdf;

  __device__ __forceinline__ explicit NarrowGelu(float x) {
    constexpr float kScale = -0.72134752044448170368f;  // of x^2 in the exponent of 2
    const float slope = 1 + 0.3f * fabsf(x), power = x * x * kScale;
    float t;
#if defined(__NVCC__)
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(t) : "f"(slope));
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(bell) : "f"(power));
#else
    t = 1 / slope;
    bell = exp2f(power);
#endif
    float ratio = 0.24060069f - 0.0846014196f * t;
    ratio = ratio * t - 0.048680919f;
    ratio = ratio * t + 0.16478757f;
    ratio = ratio * t + 0.106697224f;
    ratio = ratio * t + 0.121275765f;
    ratio = ratio * t - 7.98421307e-5f;
    const float tail = ratio * bell;
    cdf = x < 0 ? tail : 1 - tail;
  }
};
struct NarrowGeluValue {
  __device__ __forceinline__ float operator()(float x) const { return x * NarrowGelu(x).cdf; }
};
struct NarrowGeluGradient {
  __device__ __forceinline__ float operator()(float g, float x) const {
    const NarrowGelu at(x);
    return g * (at.cdf + x * at.bell * 0.39894228040143267794f);
  }
};

}  // namespace

template <>
struct ForNarrow<ValueOf<Gelu>> {
  using type = NarrowGeluValue;
};
template <>
struct ForNarrow<GradientOf<Gelu>> {
  using type = NarrowGeluGradient;
};

void activation(Activation f, const Plan& plan, const Parameters& p) {
  visit_float_class("activation", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (f) {
#define NORCH_CASE(name) \
  case Activation::name: return elementwise<T, T>(plan, ValueOf<name>{name(p)});
      NORCH_ACTIVATIONS(NORCH_CASE)
#undef NORCH_CASE
    }
  });
}

namespace {

/// Blocks of 32 threads across, each with V neighbouring columns of 16 bytes, by 8 down, which walk over their part of the
/// rows: partial[part][column].
template <class T, class F>
__global__ void __launch_bounds__(kThreads, 4)
    backward_with_sums_kernel(T* dx, float* partial, const T* grad, const T* x, int64_t rows, int64_t n,
                              int64_t per_part, const F f) {
  constexpr int V = 16 / sizeof(T), kDown = kThreads / 32, kUnroll = 4;
  using Ts = Vector<V, T>;
  __shared__ Vector<V, float> room[kDown][32];
  const int64_t column = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * V;
  const int64_t last = min((blockIdx.y + 1) * per_part, rows);
  Vector<V, float> sum{};
  if (column < n) {
    for (int64_t row = blockIdx.y * per_part + threadIdx.y; row < last; row += kUnroll * kDown) {
      // Behind the end the first row is read again: no load waits for a condition.
      Ts gs[kUnroll], xs[kUnroll];
      const int64_t at = row * n + column;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int64_t from = row + u * kDown < last ? at + u * kDown * n : at;
        gs[u] = *reinterpret_cast<const Ts*>(grad + from);
        xs[u] = *reinterpret_cast<const Ts*>(x + from);
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (row + u * kDown >= last) break;
        float gv[V], xv[V];
        widen(gs[u], gv);
        widen(xs[u], xv);
#pragma unroll
        for (int j = 0; j < V; ++j) {
          gv[j] = f(gv[j], xv[j]);
          sum.v[j] += gv[j];
        }
        *reinterpret_cast<Ts*>(dx + at + u * kDown * n) = narrow<V, T>(gv);
      }
    }
  }
  room[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  // Thread t of the block adds up column t of those that the block has.
  const int t = threadIdx.y * 32 + threadIdx.x;
  const int64_t own = static_cast<int64_t>(blockIdx.x) * 32 * V + t;
  if (t >= 32 * V || own >= n) return;
  float total = 0;
#pragma unroll
  for (int down = 0; down < kDown; ++down) total += room[down][t / V].v[t % V];
  partial[blockIdx.y * n + own] = total;
}

}  // namespace

void activation_backward_with_sums(Activation f, int64_t rows, int64_t n, const Tensor& dx, const Tensor& sums,
                                   const Tensor& g, const Tensor& x) {
  visit_float("activation_backward", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto run = [&](const auto& gradient) {
      using F = std::decay_t<decltype(gradient)>;
      constexpr int V = 16 / sizeof(T);
      const unsigned across = blocks_for(n, 32 * V);
      // As many blocks as an H100 runs at once: a constant, so that sums do not depend on the card.
      const Parts p(rows, across, kThreads / 32 * 4, 4 * 132);
      const Tensor partial = room_for<float>(p.parts, n, x.device(), 1);
      launch(backward_with_sums_kernel<T, F>, dim3(across, static_cast<unsigned>(p.parts)), dim3(32, kThreads / 32), 0,
             dx.data<T>(), partial.data<float>(), g.data<T>(), x.data<T>(), rows, n, p.per_part, gradient);
      join_parts<float>({sums}, partial, n, p.parts);
    };
    if constexpr (sizeof(T) <= 4) {
      const auto run_one = [&](const auto& gradient) {
        using F = std::decay_t<decltype(gradient)>;
        if constexpr (sizeof(T) == 2 && !std::is_same_v<F, typename ForNarrow<F>::type>)
          run(typename ForNarrow<F>::type{});
        else
          run(gradient);
      };
      switch (f) {
#define NORCH_CASE(name) \
  case Activation::name: return run_one(GradientOf<name>{name(Parameters{})});
        NORCH_ACTIVATIONS_OF_PRODUCTS(NORCH_CASE)
#undef NORCH_CASE
        default: return;
      }
    }
  });
}

void activation_backward(Activation f, const Plan& plan, const Parameters& p) {
  visit_float_class("activation_backward", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (f) {
#define NORCH_CASE(name) \
  case Activation::name: return elementwise<T, T, T>(plan, GradientOf<name>{name(p)});
      NORCH_ACTIVATIONS(NORCH_CASE)
#undef NORCH_CASE
    }
  });
}

}  // namespace norch::kernels::cuda
