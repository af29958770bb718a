#include "kernels/factory.h"

#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class F>
__global__ void generate_kernel(T* out, int64_t n, const F f) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) out[i] = f(i);
}

template <class T, class F>
void generate(const Tensor& out, const F& f) {
  const int64_t n = out.numel();
  if (n == 0) return;
  const int64_t blocks = (n + 255) / 256;
  launch(generate_kernel<T, F>, static_cast<uint32_t>(blocks < 4096 ? blocks : 4096), 256u, 0,
         static_cast<T*>(out.data_ptr()), n, f);
}

}  // namespace

void arange(const Tensor& out, const Scalar& start, const Scalar& step) {
  visit_numbers("arange", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    generate<T>(out, ArangeAt<T>(start, step, out.numel()));
  });
}

void linspace(const Tensor& out, double start, double end) {
  visit_numbers("linspace", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    generate<T>(out, LinspaceAt<T>(start, end, out.numel()));
  });
}

}  // namespace norch::kernels::cuda
