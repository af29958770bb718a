#include "kernels/sample.h"

#include "kernels/cuda/graph.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/loops.cuh"
#include "kernels/random.h"
#include "kernels/random_rejection.h"

namespace norch::kernels::cuda {

namespace {

using norch::cuda::device_draw;
using norch::cuda::DeviceDraw;

constexpr int kThreads = 128;

__device__ int64_t element() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

__global__ void __launch_bounds__(kThreads) gamma_kernel(double* out, const double* shape, int64_t n, DeviceDraw drawn) {
  const int64_t i = element();
  if (i >= n) return;
  Attempts source(drawn.state(), i);
  out[i] = gamma_number(shape[i], source);
}

__global__ void __launch_bounds__(kThreads)
    binomial_kernel(double* out, const double* count, const double* p, int64_t n, DeviceDraw drawn) {
  const int64_t i = element();
  if (i >= n) return;
  Attempts source(drawn.state(), i);
  out[i] = binomial_number(count[i], p[i], source);
}

__global__ void __launch_bounds__(kThreads)
    gamma_slope_kernel(double* out, const double* shape, const double* x, int64_t n) {
  const int64_t i = element();
  if (i < n) out[i] = gamma_sample_slope(shape[i], x[i]);
}

__global__ void __launch_bounds__(kThreads)
    beta_slope_kernel(double* out, const double* x, const double* a, const double* total, int64_t n) {
  const int64_t i = element();
  if (i < n) out[i] = beta_sample_slope(x[i], a[i], total[i] - a[i]);
}

}  // namespace

void random_gamma(const Tensor& out, const Tensor& shape, PhiloxState state) {
  const int64_t n = out.numel();
  launch(gamma_kernel, blocks_for(n, kThreads), kThreads, 0, out.data<double>(), shape.data<double>(), n,
         device_draw(state));
}

void random_binomial(const Tensor& out, const Tensor& count, const Tensor& p, PhiloxState state) {
  const int64_t n = out.numel();
  launch(binomial_kernel, blocks_for(n, kThreads), kThreads, 0, out.data<double>(), count.data<double>(),
         p.data<double>(), n, device_draw(state));
}

void gamma_slope(const Tensor& out, const Tensor& shape, const Tensor& x) {
  const int64_t n = out.numel();
  launch(gamma_slope_kernel, blocks_for(n, kThreads), kThreads, 0, out.data<double>(), shape.data<double>(),
         x.data<double>(), n);
}

void beta_slope(const Tensor& out, const Tensor& x, const Tensor& a, const Tensor& total) {
  const int64_t n = out.numel();
  launch(beta_slope_kernel, blocks_for(n, kThreads), kThreads, 0, out.data<double>(), x.data<double>(),
         a.data<double>(), total.data<double>(), n);
}

}  // namespace norch::kernels::cuda
