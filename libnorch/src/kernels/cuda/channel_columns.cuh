// Tensors whose channels are innermost, as the normalisations see them: rows of channels, cut into parts of rows, one per
// block. A block's threads lie over `blockDim.x` vectors of channels and `blockDim.y` rows.
#pragma once

#include "kernels/cuda/norm.cuh"

namespace norch::kernels::cuda {

/// sum_g and sum_gx of kernels/norm.h's channel_sums in parts: a tensor (parts, 2, samples * channels), whose parts are to
/// be added.
Tensor channel_partial_sums(const ChannelShape& shape, const Tensor& g, const Tensor& x, const Tensor& mean,
                            int64_t& parts);

namespace {

struct Columns {
  int64_t rows, channels, per_part, parts, samples;  // rows and parts of one sample; grid.z is the samples

#if defined(__CUDACC__)
  template <int V>
  __device__ __forceinline__ int64_t column() const {
    return (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * V;
  }
  /// Where the sample's rows begin, in elements, and its numbers per channel.
  __device__ __forceinline__ int64_t sample() const { return blockIdx.z * rows * channels; }
  __device__ __forceinline__ int64_t sample_channels() const { return blockIdx.z * channels; }
  __device__ __forceinline__ int64_t first_row() const { return blockIdx.x * per_part + threadIdx.y; }
  __device__ __forceinline__ int64_t last_row() const { return min((blockIdx.x + 1) * per_part, rows); }
#endif
};

/// Joins `own` over the block's rows, in an order that depends on the block's shape alone; row 0 has the result.
template <class A>
__device__ __forceinline__ void join_rows(A (&room)[kThreads / 2], A& own) {
  for (int rows = blockDim.y; rows > 1;) {
    const int half = (rows + 1) / 2, row = threadIdx.y;
    if (row >= half && row < rows) room[(row - half) * blockDim.x + threadIdx.x] = own;
    __syncthreads();
    if (row < rows - half) own.join(room[row * blockDim.x + threadIdx.x]);
    __syncthreads();
    rows = half;
  }
}

template <int V, class T>
__device__ __forceinline__ Vector<V, T> load_vector(const T* p) {
  return *reinterpret_cast<const Vector<V, T>*>(p);
}

inline bool aligned(std::initializer_list<const void*> pointers) {
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}

/// Calls f(columns, grid, block, V as a constant) with the shape of a launch over (outer, channels, 1): vectors of 16
/// bytes where channels and addresses allow it, and parts of at least `least` rows for each thread, about `blocks` in all:
/// as many as a GPU of 132 multiprocessors runs at once of kernels with 64 registers.
template <class T, class F>
void with_columns(const ChannelShape& s, std::initializer_list<const void*> pointers, const F& f, int64_t least = 4,
                  int64_t blocks = 528) {
  const auto run = [&](auto width) {
    constexpr int V = decltype(width)::value;
    const int64_t vectors = s.channels / V, across = std::min<int64_t>(vectors, 32), down = kThreads / across;
    const int64_t column_blocks = (vectors + across - 1) / across;
    const Parts p(s.outer, column_blocks * s.samples, least * down, blocks);
    NORCH_CHECK(s.samples <= 65535 && column_blocks <= 65535, "norm: ", s.samples, " samples of ", s.channels,
                " channels are more than this kernel can take");
    f(Columns{s.outer, s.channels, p.per_part, p.parts, s.samples},
      dim3(blocks_for(p.parts, 1), blocks_for(column_blocks, 1), blocks_for(s.samples, 1)),
      dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), width);
  };
  constexpr int V = 16 / sizeof(T);
  if (s.channels % V == 0 && aligned(pointers))
    run(std::integral_constant<int, V>{});
  else
    run(std::integral_constant<int, 1>{});
}

}  // namespace

}  // namespace norch::kernels::cuda
