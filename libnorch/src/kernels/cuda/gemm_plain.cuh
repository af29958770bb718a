// A product by a kernel of norch's own: any dtype, any strides. For integers, for products so small that a library
// call costs more than the work, and where cuBLASLt has no algorithm.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"
#include "kernels/gemm.h"

namespace norch::kernels::cuda {

/// The type in which products of T are summed: wrapping unsigned arithmetic for integers.
template <class T>
using GemmSum = std::conditional_t<std::is_integral_v<T>, uint64_t, ComputeType<T>>;

/// C has elements of type O: T, or a wider float.
template <class T, class O>
struct PlainGemm {
  int64_t batch, m, n, k;
  MatrixRef a, b;
  O* c;
  int64_t c_row, c_batch;
  const T* bias;
  GemmSum<T> alpha, beta;

  explicit PlainGemm(const Gemm& g)
      : batch(g.batch), m(g.m), n(g.n), k(g.k), a(g.a), b(g.b), c(static_cast<O*>(g.c)), c_row(g.c_row),
        c_batch(g.c_batch), bias(static_cast<const T*>(g.bias)) {
    if constexpr (std::is_integral_v<T>) {
      alpha = static_cast<uint64_t>(g.alpha.to_int());
      beta = static_cast<uint64_t>(g.beta.to_int());
    } else {
      alpha = g.alpha.to<GemmSum<T>>();
      beta = g.beta.to<GemmSum<T>>();
    }
  }
};

template <class T>
__device__ __forceinline__ GemmSum<T> gemm_load(const void* data, int64_t i) {
  return static_cast<GemmSum<T>>(static_cast<ComputeType<T>>(static_cast<const T*>(data)[i]));
}

/// One thread per element of C, tiles of 16 x 16; k in steps of 16 through shared memory.
template <class T, class O>
__global__ void __launch_bounds__(256) gemm_tiles(PlainGemm<T, O> g, int64_t tiles_across) {
  using S = GemmSum<T>;
  __shared__ S left[16][17], right[16][17];
  const int x = threadIdx.x % 16, y = threadIdx.x / 16;
  const int64_t i = blockIdx.x / tiles_across * 16 + y, j = blockIdx.x % tiles_across * 16 + x;
  for (int64_t batch = blockIdx.y; batch < g.batch; batch += gridDim.y) {
    S sum(0);
    for (int64_t p = 0; p < g.k; p += 16) {
      left[y][x] = i < g.m && p + x < g.k ? gemm_load<T>(g.a.data, batch * g.a.batch + i * g.a.row + (p + x) * g.a.col) : S(0);
      right[y][x] = j < g.n && p + y < g.k ? gemm_load<T>(g.b.data, batch * g.b.batch + (p + y) * g.b.row + j * g.b.col) : S(0);
      __syncthreads();
#pragma unroll
      for (int q = 0; q < 16; ++q) sum = sum + left[y][q] * right[q][x];
      __syncthreads();
    }
    if (i < g.m && j < g.n) {
      O* c = g.c + batch * g.c_batch + i * g.c_row + j;
      sum = sum * g.alpha;
      if (g.beta != S(0)) sum = sum + g.beta * gemm_load<O>(c, 0);
      if (g.bias) sum = sum + gemm_load<T>(g.bias, j);
      *c = static_cast<O>(sum);
    }
  }
}

template <class T, class O = T>
void plain_gemm(const Gemm& g) {
  const int64_t across = (g.n + 15) / 16, down = (g.m + 15) / 16;
  launch(gemm_tiles<T, O>, dim3(blocks_for(across * down, 1), static_cast<unsigned>(std::min<int64_t>(g.batch, 65535))),
         256, 0, PlainGemm<T, O>(g), across);
}

}  // namespace norch::kernels::cuda
