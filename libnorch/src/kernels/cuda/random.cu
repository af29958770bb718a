#include "kernels/random.h"
#include "kernels/random_rejection.h"

#include <algorithm>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

using norch::cuda::device_draw;
using norch::cuda::DeviceDraw;

constexpr int kThreads = 256;

template <class T>
__device__ __forceinline__ void store(T* to, int64_t first, int64_t n, const T (&values)[4], bool whole) {
  if (whole && first + 4 <= n) {
    *reinterpret_cast<loops::Vector<T, 4>*>(to + first) = *reinterpret_cast<const loops::Vector<T, 4>*>(values);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (first + k < n) to[first + k] = values[k];
}

/// Whether four elements at once may be stored.
template <class T>
bool stores_vectors(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % (4 * sizeof(T)) == 0;
}

/// Four elements per thread: one block of Philox with one word an element, or two with two words.
template <class T, bool Wide, class S>
__global__ void __launch_bounds__(kThreads) fill_kernel(T* out, int64_t n, DeviceDraw drawn, S sampler, bool whole) {
  const PhiloxState state = drawn.state();
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t first = group * 4;
  if (first >= n) return;
  alignas(4 * sizeof(T)) T values[4];
  if constexpr (Wide) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Words x = philox(state.seed, state.draw, static_cast<uint64_t>(group) * 2 + half);
      const uint64_t r0 = join(x.w[0], x.w[1]), r1 = join(x.w[2], x.w[3]);
      if constexpr (S::pairs) {
        double a, b;
        sampler.two(r0, r1, a, b);
        values[half * 2] = static_cast<T>(a);
        values[half * 2 + 1] = static_cast<T>(b);
      } else {
        values[half * 2] = static_cast<T>(sampler.one(r0));
        values[half * 2 + 1] = static_cast<T>(sampler.one(r1));
      }
    }
  } else {
    const Words x = philox(state.seed, state.draw, static_cast<uint64_t>(group));
    if constexpr (S::pairs) {
#pragma unroll
      for (int k = 0; k < 4; k += 2) {
        float a, b;
        sampler.two(x.w[k], x.w[k + 1], a, b);
        values[k] = static_cast<T>(a);
        values[k + 1] = static_cast<T>(b);
      }
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) values[k] = static_cast<T>(sampler.one(x.w[k]));
    }
  }
  store(out, first, n, values, whole);
}

template <class T, bool Wide, class S>
void fill(const Tensor& out, PhiloxState state, const S& sampler) {
  T* to = static_cast<T*>(out.data_ptr());
  const int64_t n = out.numel();
  launch(fill_kernel<T, Wide, S>, blocks_for((n + 3) / 4, kThreads), kThreads, 0, to, n, device_draw(state), sampler,
         stores_vectors(to));
}

template <class T, class P>
__global__ void __launch_bounds__(kThreads) bernoulli_kernel(T* out, const P* p, int64_t n, DeviceDraw drawn) {
  const PhiloxState state = drawn.state();
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (group * 4 >= n) return;
  const Words x = philox(state.seed, state.draw, static_cast<uint64_t>(group));
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int64_t i = group * 4 + k;
    if (i < n)
      out[i] = static_cast<T>(static_cast<double>(x.w[k]) <
                              static_cast<double>(static_cast<ComputeType<P>>(p[i])) * 0x1.0p32);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) dropout_kernel(T* out, const T* in, int64_t n, DeviceDraw drawn,
                                                           uint64_t threshold, ComputeType<T> scale, uint64_t first_block,
                                                           bool whole) {
  using C = ComputeType<T>;
  const PhiloxState state = drawn.state();
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t first = group * 4;
  if (first >= n) return;
  alignas(4 * sizeof(T)) T values[4];
  if (whole && first + 4 <= n) {
    *reinterpret_cast<loops::Vector<T, 4>*>(values) = *reinterpret_cast<const loops::Vector<T, 4>*>(in + first);
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) values[k] = first + k < n ? in[first + k] : T(0.0f);
  }
  const Words x = philox(state.seed, state.draw, first_block + static_cast<uint64_t>(group));
#pragma unroll
  for (int k = 0; k < 4; ++k)
    values[k] = x.w[k] < threshold ? static_cast<T>(C(0)) : static_cast<T>(static_cast<C>(values[k]) * scale);
  store(out, first, n, values, whole);
}

__global__ void __launch_bounds__(kThreads) categories_kernel(int64_t* out, const double* cdf, int64_t numel, int64_t n,
                                                              int64_t classes, DeviceDraw drawn) {
  const PhiloxState state = drawn.state();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= numel) return;
  const Words x = philox(state.seed, state.draw, static_cast<uint64_t>(i / 2));
  const uint64_t r = i % 2 ? join(x.w[2], x.w[3]) : join(x.w[0], x.w[1]);
  out[i] = find_category(cdf + (i / n) * classes, classes, static_cast<double>(r >> 11) * 0x1.0p-53);
}

template <class T>
__global__ void __launch_bounds__(kThreads) poisson_kernel(T* out, const T* rate, int64_t n, DeviceDraw drawn) {
  const PhiloxState state = drawn.state();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  using C = ComputeType<T>;
  const double r = static_cast<double>(static_cast<C>(rate[i]));
  Attempts attempts(state, i);
  out[i] = static_cast<T>(static_cast<C>(r >= 0 && r < 1e300 ? poisson_number(r, attempts) : NAN));
}

}  // namespace

void random_fill(Distribution d, const Tensor& out, PhiloxState state, double a, double b) {
  visit_distribution(d, out.dtype(), a, b, [&](const auto& sampler, auto tag) {
    using T = typename decltype(tag)::type;
    fill<T, std::is_same_v<T, double>>(out, state, sampler);
  });
}

void random_integers(const Tensor& out, PhiloxState state, int64_t low, uint64_t range) {
  visit_all(out.dtype(), [&](auto tag) {
    fill<typename decltype(tag)::type, true>(out, state, IntegerSampler{low, range});
  });
}

void random_geometric(const Tensor& out, PhiloxState state, double p) {
  visit_numbers("geometric_", out.dtype(), [&](auto tag) {
    fill<typename decltype(tag)::type, true>(out, state, GeometricSampler(p));
  });
}

void random_bernoulli(const Tensor& out, PhiloxState state, double p) {
  visit_all(out.dtype(), [&](auto tag) {
    fill<typename decltype(tag)::type, false>(out, state, BernoulliSampler(p));
  });
}

void random_bernoulli_each(const Tensor& out, PhiloxState state, const Tensor& p) {
  const int64_t n = out.numel();
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_float("bernoulli", p.dtype(), [&](auto p_tag) {
      using P = typename decltype(p_tag)::type;
      launch(bernoulli_kernel<T, P>, blocks_for((n + 3) / 4, kThreads), kThreads, 0, static_cast<T*>(out.data_ptr()),
             static_cast<const P*>(p.data_ptr()), n, device_draw(state));
    });
  });
}

void dropout(const Tensor& out, const Tensor& x, PhiloxState state, double p, double scale, uint64_t first_block) {
  const int64_t n = out.numel();
  visit_float("dropout", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = static_cast<T*>(out.data_ptr());
    const T* from = static_cast<const T*>(x.data_ptr());
    launch(dropout_kernel<T>, blocks_for((n + 3) / 4, kThreads), kThreads, 0, to, from, n, device_draw(state), event_threshold(p),
           static_cast<ComputeType<T>>(scale), first_block, stores_vectors(to) && stores_vectors(from));
  });
}

void random_categories(const Tensor& out, const Tensor& cdf, PhiloxState state) {
  launch(categories_kernel, blocks_for(out.numel(), kThreads), kThreads, 0, out.data<int64_t>(), cdf.data<double>(),
         out.numel(), out.sizes()[1], cdf.sizes()[1], device_draw(state));
}

void random_poisson(const Tensor& out, const Tensor& rate, PhiloxState state) {
  visit_float("poisson", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(poisson_kernel<T>, blocks_for(out.numel(), kThreads), kThreads, 0, static_cast<T*>(out.data_ptr()),
           static_cast<const T*>(rate.data_ptr()), out.numel(), device_draw(state));
  });
}

}  // namespace norch::kernels::cuda
