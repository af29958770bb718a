#include "kernels/rnn.h"

#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;

template <class T>
T* data_of(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

/// Element `at` of (rows, n): its place j in the row, and its place in the first part of the row's gates.
struct Place {
  int64_t at, j, gates;
  __device__ Place(int64_t n, int parts) {
    at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    const int64_t row = at / n;
    j = at - row * n;
    gates = row * parts * n + j;
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    lstm_kernel(T* gates, T* c, T* c_before, T* h, int64_t n, int64_t count) {
  using C = ComputeType<T>;
  const Place p(n, 4);
  if (p.at >= count) return;
  T* g = gates + p.gates;
  const C before = static_cast<C>(c[p.at]);
  if (c_before) c_before[p.at] = c[p.at];
  const LstmCell<C> s(static_cast<C>(g[0]), static_cast<C>(g[n]), static_cast<C>(g[2 * n]), static_cast<C>(g[3 * n]),
                      before);
  g[0] = static_cast<T>(s.i);
  g[n] = static_cast<T>(s.f);
  g[2 * n] = static_cast<T>(s.g);
  g[3 * n] = static_cast<T>(s.o);
  c[p.at] = static_cast<T>(s.c);
  h[p.at] = static_cast<T>(s.h);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    lstm_backward_kernel(T* grad_gates, T* grad_c, const T* grad_h, const T* grad_out, const T* gates, const T* c_before,
                         int64_t n, int64_t count) {
  using C = ComputeType<T>;
  const Place p(n, 4);
  if (p.at >= count) return;
  const T* g = gates + p.gates;
  C gh = static_cast<C>(grad_h[p.at]);
  if (grad_out) gh += static_cast<C>(grad_out[p.at]);
  const LstmGradient<C> s(gh, static_cast<C>(grad_c[p.at]), static_cast<C>(g[0]), static_cast<C>(g[n]),
                          static_cast<C>(g[2 * n]), static_cast<C>(g[3 * n]), static_cast<C>(c_before[p.at]));
  T* to = grad_gates + p.gates;
  to[0] = static_cast<T>(s.i);
  to[n] = static_cast<T>(s.f);
  to[2 * n] = static_cast<T>(s.g);
  to[3 * n] = static_cast<T>(s.o);
  grad_c[p.at] = static_cast<T>(s.c);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    gru_kernel(T* gates, const T* from_hidden, T* h, T* out, int64_t n, int64_t count) {
  using C = ComputeType<T>;
  const Place p(n, 3);
  if (p.at >= count) return;
  T* g = gates + p.gates;
  const T* x = from_hidden + p.gates;
  const GruCell<C> s(static_cast<C>(g[0]), static_cast<C>(g[n]), static_cast<C>(g[2 * n]), static_cast<C>(x[0]),
                     static_cast<C>(x[n]), static_cast<C>(x[2 * n]), static_cast<C>(h[p.at]));
  g[0] = static_cast<T>(s.r);
  g[n] = static_cast<T>(s.z);
  g[2 * n] = static_cast<T>(s.n);
  h[p.at] = out[p.at] = static_cast<T>(s.h);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    gru_backward_kernel(T* grad_gates, T* grad_from_hidden, T* grad_h, const T* grad_out, const T* gates,
                        const T* from_hidden, const T* h_before, int64_t n, int64_t count) {
  using C = ComputeType<T>;
  const Place p(n, 3);
  if (p.at >= count) return;
  const T* g = gates + p.gates;
  C gh = static_cast<C>(grad_h[p.at]);
  if (grad_out) gh += static_cast<C>(grad_out[p.at]);
  const GruGradient<C> s(gh, static_cast<C>(g[0]), static_cast<C>(g[n]), static_cast<C>(g[2 * n]),
                         static_cast<C>(from_hidden[p.gates + 2 * n]), static_cast<C>(h_before[p.at]));
  T *by_x = grad_gates + p.gates, *by_h = grad_from_hidden + p.gates;
  by_x[0] = by_h[0] = static_cast<T>(s.r);
  by_x[n] = by_h[n] = static_cast<T>(s.z);
  by_x[2 * n] = static_cast<T>(s.n);
  by_h[2 * n] = static_cast<T>(s.hn);
  grad_h[p.at] = static_cast<T>(s.h);
}

}  // namespace

void lstm_step(const Tensor& gates, const Tensor& c, const Tensor& c_before, const Tensor& h) {
  visit_float("lstm", h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(lstm_kernel<T>, blocks_for(h.numel(), kThreads), kThreads, 0, data_of<T>(gates), data_of<T>(c),
           data_of<T>(c_before), data_of<T>(h), h.sizes()[1], h.numel());
  });
}

void lstm_step_backward(const Tensor& grad_gates, const Tensor& grad_c, const Tensor& grad_h, const Tensor& grad_out,
                        const Tensor& gates, const Tensor& c_before) {
  visit_float("lstm_backward", grad_h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(lstm_backward_kernel<T>, blocks_for(grad_h.numel(), kThreads), kThreads, 0, data_of<T>(grad_gates),
           data_of<T>(grad_c), data_of<T>(grad_h), data_of<T>(grad_out), data_of<T>(gates), data_of<T>(c_before),
           grad_h.sizes()[1], grad_h.numel());
  });
}

void gru_step(const Tensor& gates, const Tensor& from_hidden, const Tensor& h, const Tensor& out) {
  visit_float("gru", h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(gru_kernel<T>, blocks_for(h.numel(), kThreads), kThreads, 0, data_of<T>(gates), data_of<T>(from_hidden),
           data_of<T>(h), data_of<T>(out), h.sizes()[1], h.numel());
  });
}

void gru_step_backward(const Tensor& grad_gates, const Tensor& grad_from_hidden, const Tensor& grad_h,
                       const Tensor& grad_out, const Tensor& gates, const Tensor& from_hidden, const Tensor& h_before) {
  visit_float("gru_backward", grad_h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(gru_backward_kernel<T>, blocks_for(grad_h.numel(), kThreads), kThreads, 0, data_of<T>(grad_gates),
           data_of<T>(grad_from_hidden), data_of<T>(grad_h), data_of<T>(grad_out), data_of<T>(gates),
           data_of<T>(from_hidden), data_of<T>(h_before), grad_h.sizes()[1], grad_h.numel());
  });
}

}  // namespace norch::kernels::cuda
