#include "kernels/reduce.h"

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

template <class T>
using Sum = SumType<T>;

/// One thread per result: neighbours read neighbouring columns.
template <class T, class Out>
__global__ void __launch_bounds__(256) sum_columns(Out* out, const T* in, int64_t results, int64_t n, int64_t inner) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= results) return;
  const T* p = in + (i / inner) * n * inner + i % inner;
  Sum<T> s = 0;
  for (int64_t j = 0; j < n; ++j) s += static_cast<Sum<T>>(static_cast<ComputeType<T>>(p[j * inner]));
  out[i] = static_cast<Out>(s);
}

/// One block per result, for rows of adjacent elements.
template <class T, class Out>
__global__ void __launch_bounds__(256) sum_rows(Out* out, const T* in, int64_t n) {
  __shared__ Sum<T> partial[256];
  const T* p = in + blockIdx.x * n;
  Sum<T> s = 0;
  for (int64_t j = threadIdx.x; j < n; j += 256) s += static_cast<Sum<T>>(static_cast<ComputeType<T>>(p[j]));
  partial[threadIdx.x] = s;
  for (int half = 128; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = static_cast<Out>(partial[0]);
}

}  // namespace

void sum(const Tensor& out, const Tensor& in, int64_t outer, int64_t n, int64_t inner) {
  const int64_t results = outer * inner;
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = static_cast<const T*>(in.data_ptr());
    auto run = [&](auto* y) {
      using Out = std::remove_pointer_t<decltype(y)>;
      if (inner == 1)
        launch(sum_rows<T, Out>, blocks_for(results, 1), 256, 0, y, x, n);
      else
        launch(sum_columns<T, Out>, blocks_for(results, 256), 256, 0, y, x, results, n, inner);
    };
    if (out.dtype() == in.dtype())
      run(static_cast<T*>(out.data_ptr()));
    else
      run(static_cast<Sum<T>*>(out.data_ptr()));
  });
}

}  // namespace norch::kernels::cuda
