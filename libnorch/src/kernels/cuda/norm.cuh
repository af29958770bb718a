// What the normalisations share: sums over columns, cut into parts that a second launch joins.
#pragma once

#include "kernels/norm.h"

#include <algorithm>

#include "core/factory.h"
#include "kernels/cuda/group.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;

template <class T>
const T* pointer(const Tensor& t) {
  return t.defined() ? static_cast<const T*>(t.data_ptr()) : nullptr;
}
template <class T>
T* output(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

/// Two sums made in one pass.
template <class C>
struct Sums {
  C a, b;
  __device__ __forceinline__ Sums operator+(const Sums& o) const { return {a + o.a, b + o.b}; }
};

/// Sums of two values over the rows of a block's part, columns side by side: partial[part][2][columns].
template <class C, class F>
__device__ __forceinline__ void column_sums(C* partial, int64_t columns, int64_t rows, int64_t per_part, const F& f) {
  __shared__ C shared[2][kThreads];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  const int64_t last = min((blockIdx.y + 1) * per_part, rows);
  C a = 0, b = 0;
  if (column < columns)
#pragma unroll 4
    for (int64_t r = blockIdx.y * per_part + threadIdx.y; r < last; r += kThreads / 32) f(r, column, a, b);
  shared[0][threadIdx.y * 32 + threadIdx.x] = a;
  shared[1][threadIdx.y * 32 + threadIdx.x] = b;
  __syncthreads();
  if (threadIdx.y > 1 || column >= columns) return;
  C total = 0;
  for (int i = 0; i < kThreads / 32; ++i) total += shared[threadIdx.y][i * 32 + threadIdx.x];
  partial[(blockIdx.y * 2 + threadIdx.y) * columns + column] = total;
}

/// Up to three kinds of sums over columns; those that nobody wants are null.
template <class C>
struct Outs {
  C* of[3];
};

/// Adds the parts, partial[part][kind][columns]: 32 columns and 32 runs of parts a block; grid.y are the kinds.
template <class C>
__global__ void __launch_bounds__(1024) join_parts_kernel(const Outs<C> outs, const C* partial, int64_t columns,
                                                          int64_t parts) {
  __shared__ C runs[32][32];
  C* const out = outs.of[blockIdx.y];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  C sum = 0;
  if (out && column < columns)
#pragma unroll 4
    for (int64_t part = threadIdx.y; part < parts; part += 32)
      sum += partial[(part * gridDim.y + blockIdx.y) * columns + column];
  runs[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || !out || column >= columns) return;
  for (int run = 1; run < 32; ++run) sum += runs[run][threadIdx.x];
  out[column] = sum;
}

/// Cuts rows into parts of at least `least` rows so that about `total` blocks work, `blocks` for each part.
struct Parts {
  int64_t per_part, parts;
  Parts(int64_t rows, int64_t blocks, int64_t least, int64_t total = 1024) {
    const int64_t wanted = std::max<int64_t>(1, std::min(total / std::max<int64_t>(blocks, 1), rows / least));
    per_part = std::max<int64_t>(1, (rows + wanted - 1) / wanted);
    parts = std::max<int64_t>(1, (rows + per_part - 1) / per_part);
  }
};

template <class C>
Tensor room_for(int64_t parts, int64_t columns, Device device, int64_t kinds = 2) {
  return new_tensor({parts, kinds, columns}, dtype_of<C>, device);
}

template <class C>
void join_parts(std::initializer_list<Tensor> outs, const Tensor& partial, int64_t columns, int64_t parts) {
  Outs<C> to{};
  std::transform(outs.begin(), outs.end(), to.of, [](const Tensor& t) { return output<C>(t); });
  launch(join_parts_kernel<C>, dim3(blocks_for(columns, 32), static_cast<unsigned>(outs.size())), dim3(32, 32), 0, to,
         static_cast<const C*>(partial.data<C>()), columns, parts);
}

}  // namespace

}  // namespace norch::kernels::cuda
