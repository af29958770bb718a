// One thread per result; gradients gather from the windows that hold a position, in order.
#include "kernels/pool.h"

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

template <class T>
__global__ void __launch_bounds__(256) max_pool_kernel(Pool p, T* out, int64_t* indices, const T* x, int64_t n) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (o >= n) return;
  using C = ComputeType<T>;
  const int64_t o1 = o % p.out[1], o0 = o / p.out[1] % p.out[0], plane = o / (p.out[1] * p.out[0]);
  const T* src = x + plane * p.in[0] * p.in[1];
  const PoolWindow r = pool_window(p, 0, o0), c = pool_window(p, 1, o1);
  const int64_t step0 = p.adaptive ? 1 : p.dilation[0], step1 = p.adaptive ? 1 : p.dilation[1];
  int64_t best = -1;
  C most = pool_least<C>();
  for (int64_t i = r.begin; i < r.end; i += step0)
    for (int64_t j = c.begin; j < c.end; j += step1) {
      const C v = static_cast<C>(src[i * p.in[1] + j]);
      if (v > most || best < 0 || v != v) {
        most = v;
        best = i * p.in[1] + j;
      }
    }
  out[o] = static_cast<T>(most);
  if (indices) indices[o] = best;
}

template <class T>
__global__ void __launch_bounds__(256) scatter_kernel(Pool p, T* gx, const T* g, const int64_t* indices, int64_t n) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (at >= n) return;
  using C = ComputeType<T>;
  const int64_t in = p.in[0] * p.in[1], position = at % in, plane = at / in;
  int64_t first0, last0, first1, last1;
  pool_windows_at(p, 0, position / p.in[1], first0, last0);
  pool_windows_at(p, 1, position % p.in[1], first1, last1);
  C sum = 0;
  for (int64_t i = first0; i < last0; ++i)
    for (int64_t j = first1; j < last1; ++j) {
      const int64_t o = (plane * p.out[0] + i) * p.out[1] + j;
      if (indices[o] == position) sum += static_cast<C>(g[o]);
    }
  gx[at] = static_cast<T>(sum);
}

template <class T>
__global__ void __launch_bounds__(256) gather_kernel(T* out, const T* x, const int64_t* indices, int64_t in,
                                                     int64_t windows, int64_t n) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (o < n) out[o] = indices[o] >= 0 ? x[o / windows * in + indices[o]] : T(0);
}

template <class T>
__global__ void __launch_bounds__(256) avg_pool_kernel(Pool p, T* out, const T* x, int64_t n) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (o >= n) return;
  using C = ComputeType<T>;
  const int64_t o1 = o % p.out[1], o0 = o / p.out[1] % p.out[0], plane = o / (p.out[1] * p.out[0]);
  const T* src = x + plane * p.in[0] * p.in[1];
  const PoolWindow r = pool_window(p, 0, o0), c = pool_window(p, 1, o1);
  C sum = 0;
  for (int64_t i = r.begin; i < r.end; ++i)
    for (int64_t j = c.begin; j < c.end; ++j) sum += static_cast<C>(src[i * p.in[1] + j]);
  const bool empty = r.begin >= r.end || c.begin >= c.end;
  out[o] = static_cast<T>(empty ? C(0) : sum / static_cast<C>(pool_divisor(p, r, c)));
}

template <class T>
__global__ void __launch_bounds__(256) avg_backward_kernel(Pool p, T* gx, const T* g, int64_t n) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (at >= n) return;
  using C = ComputeType<T>;
  const int64_t in = p.in[0] * p.in[1], row = at % in / p.in[1], col = at % p.in[1], plane = at / in;
  int64_t first0, last0, first1, last1;
  pool_windows_at(p, 0, row, first0, last0);
  pool_windows_at(p, 1, col, first1, last1);
  C sum = 0;
  for (int64_t i = first0; i < last0; ++i) {
    const PoolWindow r = pool_window(p, 0, i);
    if (row < r.begin || row >= r.end) continue;
    for (int64_t j = first1; j < last1; ++j) {
      const PoolWindow c = pool_window(p, 1, j);
      if (col < c.begin || col >= c.end) continue;
      sum += static_cast<C>(g[(plane * p.out[0] + i) * p.out[1] + j]) / static_cast<C>(pool_divisor(p, r, c));
    }
  }
  gx[at] = static_cast<T>(sum);
}

template <class T>
const T* data(const Tensor& t) {
  return static_cast<const T*>(t.data_ptr());
}

}  // namespace

void max_pool(const Pool& p, const Tensor& out, const Tensor& indices, const Tensor& x) {
  visit_numbers("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(max_pool_kernel<T>, blocks_for(out.numel(), 256), 256, 0, p, static_cast<T*>(out.data_ptr()),
           indices.defined() ? static_cast<int64_t*>(indices.data_ptr()) : nullptr, data<T>(x), out.numel());
  });
}

void max_pool_scatter(const Pool& p, const Tensor& gx, const Tensor& g, const Tensor& indices) {
  visit_float("max_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(scatter_kernel<T>, blocks_for(gx.numel(), 256), 256, 0, p, static_cast<T*>(gx.data_ptr()), data<T>(g),
           data<int64_t>(indices), gx.numel());
  });
}

void max_pool_gather(const Pool& p, const Tensor& out, const Tensor& x, const Tensor& indices) {
  visit_float("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(gather_kernel<T>, blocks_for(out.numel(), 256), 256, 0, static_cast<T*>(out.data_ptr()), data<T>(x),
           data<int64_t>(indices), p.in[0] * p.in[1], p.out[0] * p.out[1], out.numel());
  });
}

void avg_pool(const Pool& p, const Tensor& out, const Tensor& x) {
  visit_float("avg_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(avg_pool_kernel<T>, blocks_for(out.numel(), 256), 256, 0, p, static_cast<T*>(out.data_ptr()), data<T>(x),
           out.numel());
  });
}

void avg_pool_backward(const Pool& p, const Tensor& gx, const Tensor& g) {
  visit_float("avg_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(avg_backward_kernel<T>, blocks_for(gx.numel(), 256), 256, 0, p, static_cast<T*>(gx.data_ptr()), data<T>(g),
           gx.numel());
  });
}

}  // namespace norch::kernels::cuda
