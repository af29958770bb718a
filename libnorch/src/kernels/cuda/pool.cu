// One thread per result; gradients gather from the windows that hold a position, in order.
#include "kernels/pool.h"

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

/// Position `at` of a tensor (planes, size...).
struct Place {
  int64_t plane, i[3];
  __device__ Place(int64_t at, const int64_t* size) {
    i[2] = at % size[2];
    at /= size[2];
    i[1] = at % size[1];
    at /= size[1];
    i[0] = at % size[0];
    plane = at / size[0];
  }
};

template <class T>
__global__ void __launch_bounds__(256) max_pool_kernel(Pool p, T* out, int64_t* indices, const T* x, int64_t n) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (o >= n) return;
  using C = ComputeType<T>;
  const Place at(o, p.out);
  const T* src = x + at.plane * p.in_size();
  int64_t best = -1;
  C most = pool_least<C>();
  PoolBox(p, at.i[0], at.i[1], at.i[2]).over(p, [&](int64_t i) {
    const C v = static_cast<C>(src[i]);
    if (v > most || best < 0 || v != v) {
      most = v;
      best = i;
    }
  });
  out[o] = static_cast<T>(most);
  if (indices) indices[o] = best;
}

/// The sum of value(o0, o1, o2, index of the window) over the windows that may hold a position.
template <class C, class F>
__device__ C sum_windows(const Pool& p, const Place& at, const F& value) {
  int64_t first[3], last[3];
  for (int d = 0; d < 3; ++d) pool_windows_at(p, d, at.i[d], first[d], last[d]);
  C sum = 0;
  for (int64_t i = first[0]; i < last[0]; ++i)
    for (int64_t j = first[1]; j < last[1]; ++j)
      for (int64_t k = first[2]; k < last[2]; ++k)
        sum += value(i, j, k, ((at.plane * p.out[0] + i) * p.out[1] + j) * p.out[2] + k);
  return sum;
}

template <class T>
__global__ void __launch_bounds__(256) scatter_kernel(Pool p, T* gx, const T* g, const int64_t* indices, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  using C = ComputeType<T>;
  const int64_t position = i % p.in_size();
  gx[i] = static_cast<T>(sum_windows<C>(p, Place(i, p.in), [&](int64_t, int64_t, int64_t, int64_t o) {
    return indices[o] == position ? static_cast<C>(g[o]) : C(0);
  }));
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
  const Place at(o, p.out);
  const T* src = x + at.plane * p.in_size();
  const PoolBox box(p, at.i[0], at.i[1], at.i[2]);
  C sum = 0;
  box.over(p, [&](int64_t i) { sum += static_cast<C>(src[i]); });
  out[o] = static_cast<T>(box.empty() ? C(0) : sum / static_cast<C>(box.divisor(p)));
}

template <class T>
__global__ void __launch_bounds__(256) avg_backward_kernel(Pool p, T* gx, const T* g, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  using C = ComputeType<T>;
  const Place at(i, p.in);
  gx[i] = static_cast<T>(sum_windows<C>(p, at, [&](int64_t o0, int64_t o1, int64_t o2, int64_t o) {
    const PoolBox box(p, o0, o1, o2);
    return box.holds(at.i[0], at.i[1], at.i[2]) ? static_cast<C>(g[o]) / static_cast<C>(box.divisor(p)) : C(0);
  }));
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
           data<int64_t>(indices), p.in_size(), p.out_size(), out.numel());
  });
}

void avg_pool(const Pool& p, const Tensor& out, const Tensor& x) {
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(avg_pool_kernel<T>, blocks_for(out.numel(), 256), 256, 0, p, static_cast<T*>(out.data_ptr()), data<T>(x),
           out.numel());
  };
  if (out.dtype() == DType::Int64)
    run(TypeTag<int64_t>{});
  else
    visit_float("avg_pool", out.dtype(), run);
}

void avg_pool_backward(const Pool& p, const Tensor& gx, const Tensor& g) {
  visit_float("avg_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(avg_backward_kernel<T>, blocks_for(gx.numel(), 256), 256, 0, p, static_cast<T*>(gx.data_ptr()), data<T>(g),
           gx.numel());
  });
}

}  // namespace norch::kernels::cuda
