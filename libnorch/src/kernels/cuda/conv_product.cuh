// Convolutions of channels-last 16-bit floats as products of matrices on the tensor cores (implicit GEMM): a row of the
// left operand is what the taps of one position read, gathered while the tile is copied into shared memory. Channels
// are taken eight at a time, so that each copy of 16 bytes is of one tap. Elements are counted in 32 bits.
//
// A block of 256 threads makes 128 x N results and goes along the sum in steps of 64, with two steps under way; its
// warps make 32 x N/2 each.
#pragma once

#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

namespace norch::kernels::cuda {

inline constexpr int kProductRows = 128, kProductStep = 64, kProductThreads = 256, kProductStages = 3;

/// Where positions and taps read a tensor (sample, height, width, channels). Position (u, v) of a grid and tap (i, j)
/// read at height u * stride[0] + from[0] + i * step[0], and likewise in width; beyond the tensor are zeros.
struct Gather {
  FastDivider width, height;     // of the grid
  FastDivider channels, across;  // of a group; taps in a row
  int size[2], stride[2], from[2], step[2], taps[2];
  int all_channels;

  struct Place {
    int sample, y, x;  // sample: its first element
  };
  __device__ __forceinline__ Place place(uint32_t position) const {
    uint32_t v = position, u = width.divide_in_place(v);
    const int sample = static_cast<int>(height.divide_in_place(u)) * size[0] * size[1] * all_channels;
    return {sample, static_cast<int>(u) * stride[0] + from[0], static_cast<int>(v) * stride[1] + from[1]};
  }
  struct Tap {
    int i, j, channel;
  };
  /// Of element k of a row: taps in order, and the channels of each.
  __device__ __forceinline__ Tap tap(uint32_t k) const {
    uint32_t channel = k, j = channels.divide_in_place(channel);
    const uint32_t i = across.divide_in_place(j);
    return {static_cast<int>(i), static_cast<int>(j), static_cast<int>(channel)};
  }
  /// The element of the tensor; -1 if there is none.
  __device__ __forceinline__ int element(const Place& p, const Tap& t) const {
    const int y = p.y + t.i * step[0], x = p.x + t.j * step[1];
    const bool inside = t.i < taps[0] && y >= 0 && y < size[0] && x >= 0 && x < size[1];
    return inside ? p.sample + (y * size[1] + x) * all_channels + t.channel : -1;
  }
};

/// Results by position and channel: what position p reads, times weights. The result of (u, v) goes to (u * out_stride
/// + out_from) of a tensor (sample, height, width, out_channels).
struct PositionProduct {
  Gather gather;
  const void *source, *weight, *bias;  // no bias: null
  int biases;                          // of a group
  void* out;
  uint32_t rows;  // positions of all samples
  int columns;    // results of a position and group
  int steps;      // along the sum
  int out_size[2], out_from[2], out_stride[2], out_channels;
  int weight_from, weight_tap[2], weight_group;
  int weight_stride;  // from one column to the next, or, `across` the sum, from one channel to the next
};

/// The three tiles that are copied, computed with, and waited for in turn.
template <int a_bytes, int b_bytes, class Load, class Compute>
__device__ __forceinline__ void pipeline(uint32_t shared, int steps, const Load& load, const Compute& compute) {
  constexpr int kBytes = a_bytes + b_bytes;
#pragma unroll
  for (int s = 0; s < kProductStages - 1; ++s) {
    if (s < steps) load(s, shared + s * kBytes, shared + s * kBytes + a_bytes);
    mma::commit_copies();
  }
  for (int s = 0, at = 0, next = kProductStages - 1; s < steps; ++s) {
    mma::wait_for_copies<kProductStages - 2>();
    __syncthreads();
    if (s + kProductStages - 1 < steps)
      load(s + kProductStages - 1, shared + next * kBytes, shared + next * kBytes + a_bytes);
    mma::commit_copies();
    compute(shared + at * kBytes, shared + at * kBytes + a_bytes);
    at = at + 1 == kProductStages ? 0 : at + 1;
    next = next + 1 == kProductStages ? 0 : next + 1;
  }
}

/// c += a b of 16 steps along the sum, for the 32 x N/2 results of a warp; a(m, r) and b(n, r) load operands.
template <class T, int N, class A, class B>
__device__ __forceinline__ void multiply_warp(float (&c)[2][N / 16][4], const A& load_a, const B& load_b) {
  uint32_t a[2][4];
#pragma unroll
  for (int m = 0; m < 2; ++m) load_a(a[m], m);
#pragma unroll
  for (int n = 0; n < N / 16; n += 2) {
    uint32_t b[4];
    load_b(b, n);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      mma::multiply<T>(c[m][n], a[m], b[0], b[1]);
      mma::multiply<T>(c[m][n + 1], a[m], b[2], b[3]);
    }
  }
}

template <int N>
struct PositionTiles {
  using A = Tile<kProductRows, kProductStep>;
  static constexpr int kBBytes = N * kProductStep * 2, kOutRow = N * 2 + 16;  // 16 bytes apart: other banks
  static constexpr size_t kShared = std::max(kProductStages * (A::kBytes + kBBytes), kProductRows* kOutRow);
};

/// `across`: the weights of one column are not adjacent, those of one channel are.
template <class T, int N, bool across>
__global__ void __launch_bounds__(kProductThreads, 2) position_product_kernel(PositionProduct p) {
#if __CUDA_ARCH__ >= 800
  using A = typename PositionTiles<N>::A;
  using B = std::conditional_t<across, Tile<kProductStep, N>, Tile<N, kProductStep>>;
  extern __shared__ char shared[];
  const uint32_t base = mma::shared_address(shared);
  const int tid = static_cast<int>(threadIdx.x), lane = tid % 32, warp = tid / 32;
  const int columns_of_tiles = (p.columns + N - 1) / N;
  const uint32_t row0 = blockIdx.x / columns_of_tiles * kProductRows;
  const int column0 = static_cast<int>(blockIdx.x % columns_of_tiles) * N, group = static_cast<int>(blockIdx.y);
  const int group_channels = static_cast<int>(p.gather.channels.divisor);

  const T* const source = static_cast<const T*>(p.source) + static_cast<int64_t>(group) * group_channels;
  const T* const weight = static_cast<const T*>(p.weight) + p.weight_from + group * p.weight_group;
  const int chunk = tid % 8, first = tid / 8;
  Gather::Place places[4];
#  pragma unroll
  for (int r = 0; r < 4; ++r) {
    const uint32_t row = row0 + first + 32 * r;
    places[r] = p.gather.place(row < p.rows ? row : 0);
    if (row >= p.rows) places[r].y = -(1 << 30);
  }

  const auto load = [&](int step, uint32_t a_tile, uint32_t b_tile) {
    const Gather::Tap tap = p.gather.tap(static_cast<uint32_t>(step * kProductStep + chunk * 8));
#  pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int at = p.gather.element(places[r], tap);
      mma::copy_async(a_tile + A::at(first + 32 * r, chunk), source + max(at, 0), at >= 0);
    }
    if constexpr (!across) {
      const bool inside = tap.i < p.gather.taps[0];
      const T* from = weight + tap.i * p.weight_tap[0] + tap.j * p.weight_tap[1] + tap.channel;
#  pragma unroll
      for (int r = 0; r < N / 32; ++r) {
        const int column = column0 + first + 32 * r;
        const bool here = inside && column < p.columns;
        mma::copy_async(b_tile + B::at(first + 32 * r, chunk), here ? from + column * p.weight_stride : weight, here);
      }
    } else {
      constexpr int kChunks = N / 8, kPass = kProductThreads / kChunks;
      const int b_chunk = tid % kChunks, column = column0 + b_chunk * 8;
#  pragma unroll
      for (int r = tid / kChunks; r < kProductStep; r += kPass) {
        const Gather::Tap t = p.gather.tap(static_cast<uint32_t>(step * kProductStep + r));
        const bool here = t.i < p.gather.taps[0] && column < p.columns;
        const T* from = weight + t.i * p.weight_tap[0] + t.j * p.weight_tap[1] + t.channel * p.weight_stride + column;
        mma::copy_async(b_tile + B::at(r, b_chunk), here ? from : weight, here);
      }
    }
  };

  float sums[2][N / 16][4] = {};
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * (N / 2);
  const uint32_t a_lane = A::lane_a(lane) + warp_row * A::kRowBytes;
  const uint32_t b_lane = across ? B::lane_b_transposed(lane) : B::lane_b(lane) + warp_column * B::kRowBytes;
  pipeline<A::kBytes, B::kBytes>(base, p.steps, load, [&](uint32_t a_tile, uint32_t b_tile) {
#  pragma unroll
    for (int k = 0; k < kProductStep / 16; ++k)
      multiply_warp<T, N>(
          sums,
          [&](uint32_t (&a)[4], int m) { mma::load_matrices(a, a_tile + (a_lane ^ (k * 32)) + m * 16 * A::kRowBytes); },
          [&](uint32_t (&b)[4], int n) {
            if constexpr (across)
              mma::load_transposed(b, b_tile + (b_lane ^ (warp_column * 2 + n * 16)) + k * 16 * B::kRowBytes);
            else
              mma::load_matrices(b, b_tile + (b_lane ^ (k * 32)) + n * 8 * B::kRowBytes);
          });
  });

  // Through shared memory, so that rows leave in pieces of 16 bytes.
  constexpr int kOutRow = PositionTiles<N>::kOutRow;
  const T* const bias = static_cast<const T*>(p.bias);
  mma::wait_for_copies<0>();
  __syncthreads();
#  pragma unroll
  for (int n = 0; n < N / 16; ++n) {
    const int column = warp_column + n * 8 + lane % 4 * 2;
    float add[2] = {0, 0};
#  pragma unroll
    for (int c = 0; c < 2; ++c)
      if (bias && column0 + column + c < p.biases)
        add[c] = static_cast<float>(bias[group * p.biases + column0 + column + c]);
#  pragma unroll
    for (int m = 0; m < 2; ++m)
#  pragma unroll
      for (int h = 0; h < 2; ++h)
        mma::store_shared(base + (warp_row + m * 16 + h * 8 + lane / 4) * kOutRow + column * 2,
                          mma::pack<T>(sums[m][n][2 * h] + add[0], sums[m][n][2 * h + 1] + add[1]));
  }
  __syncthreads();
  constexpr int kChunks = N / 8;
  for (int r = tid / kChunks; r < kProductRows; r += kProductThreads / kChunks) {
    const int column = column0 + tid % kChunks * 8;
    const uint32_t row = row0 + r;
    if (row >= p.rows || column >= p.columns) continue;
    uint32_t v = row, u = p.gather.width.divide_in_place(v);
    const int sample = static_cast<int>(p.gather.height.divide_in_place(u));
    const int y = static_cast<int>(u) * p.out_stride[0] + p.out_from[0],
              x = static_cast<int>(v) * p.out_stride[1] + p.out_from[1];
    const int at = ((sample * p.out_size[0] + y) * p.out_size[1] + x) * p.out_channels + group * p.columns + column;
    *reinterpret_cast<uint4*>(static_cast<T*>(p.out) + at) =
        *reinterpret_cast<const uint4*>(shared + r * kOutRow + tid % kChunks * 16);
  }
#endif
}

/// The gradient of weights: by output channel, and by tap and input channel; sums over parts of the positions of all
/// samples.
struct WeightProduct {
  Gather gather;  // of the input
  const void *grad, *source;
  float* sums;               // (part, output channel, tap, input channel)
  uint32_t positions, part;  // part: positions of one, a multiple of kProductStep
  int rows, columns;         // of a group
  int grad_channels;
};

template <int N>
struct WeightTiles {
  using A = Tile<kProductStep, kProductRows>;
  using B = Tile<kProductStep, N>;
  static constexpr size_t kShared = kProductStages * (A::kBytes + B::kBytes);
};

template <class T, int N>
__global__ void __launch_bounds__(kProductThreads, 2) weight_product_kernel(WeightProduct p) {
#if __CUDA_ARCH__ >= 800
  using A = typename WeightTiles<N>::A;
  using B = typename WeightTiles<N>::B;
  extern __shared__ char shared[];
  const uint32_t base = mma::shared_address(shared);
  const int tid = static_cast<int>(threadIdx.x), lane = tid % 32, warp = tid / 32;
  const int columns_of_tiles = (p.columns + N - 1) / N;
  const int row0 = static_cast<int>(blockIdx.x) / columns_of_tiles * kProductRows;
  const int column0 = static_cast<int>(blockIdx.x) % columns_of_tiles * N, group = static_cast<int>(blockIdx.y);
  const uint32_t begin = blockIdx.z * p.part, end = min(begin + p.part, p.positions);
  const int steps = static_cast<int>((end - begin + kProductStep - 1) / kProductStep);

  const T* const grad = static_cast<const T*>(p.grad) + static_cast<int64_t>(group) * p.rows;
  const T* const source = static_cast<const T*>(p.source) + static_cast<int64_t>(group) * p.gather.channels.divisor;
  constexpr int kAChunks = kProductRows / 8, kAPass = kProductThreads / kAChunks;
  constexpr int kBChunks = N / 8, kBPass = kProductThreads / kBChunks;
  const int a_chunk = tid % kAChunks, b_chunk = tid % kBChunks;
  const bool a_inside = row0 + a_chunk * 8 < p.rows, b_inside = column0 + b_chunk * 8 < p.columns;
  const Gather::Tap tap = p.gather.tap(static_cast<uint32_t>(column0 + b_chunk * 8));

  const auto load = [&](int step, uint32_t a_tile, uint32_t b_tile) {
    const uint32_t k0 = begin + step * kProductStep;
#  pragma unroll
    for (int r = tid / kAChunks; r < kProductStep; r += kAPass) {
      const bool here = a_inside && k0 + r < end;
      const int at = static_cast<int>(k0 + r) * p.grad_channels + row0 + a_chunk * 8;
      mma::copy_async(a_tile + A::at(r, a_chunk), grad + (here ? at : 0), here);
    }
#  pragma unroll
    for (int r = tid / kBChunks; r < kProductStep; r += kBPass) {
      const int at = b_inside && k0 + r < end ? p.gather.element(p.gather.place(k0 + r), tap) : -1;
      mma::copy_async(b_tile + B::at(r, b_chunk), source + max(at, 0), at >= 0);
    }
  };

  float sums[2][N / 16][4] = {};
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * (N / 2);
  const uint32_t a_lane = A::lane_a_transposed(lane), b_lane = B::lane_b_transposed(lane);
  pipeline<A::kBytes, B::kBytes>(base, steps, load, [&](uint32_t a_tile, uint32_t b_tile) {
#  pragma unroll
    for (int k = 0; k < kProductStep / 16; ++k)
      multiply_warp<T, N>(
          sums,
          [&](uint32_t (&a)[4], int m) {
            mma::load_transposed(a, a_tile + (a_lane ^ (warp_row * 2 + m * 32)) + k * 16 * A::kRowBytes);
          },
          [&](uint32_t (&b)[4], int n) {
            mma::load_transposed(b, b_tile + (b_lane ^ (warp_column * 2 + n * 16)) + k * 16 * B::kRowBytes);
          });
  });

  float* const to = p.sums + (static_cast<int64_t>(blockIdx.z) * gridDim.y + group) * p.rows * p.columns;
#  pragma unroll
  for (int m = 0; m < 2; ++m)
#  pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = row0 + warp_row + m * 16 + h * 8 + lane / 4;
      if (row >= p.rows) continue;
#  pragma unroll
      for (int n = 0; n < N / 16; ++n) {
        const int column = column0 + warp_column + n * 8 + lane % 4 * 2;
        if (column < p.columns)
          *reinterpret_cast<float2*>(to + static_cast<int64_t>(row) * p.columns + column) =
              make_float2(sums[m][n][2 * h], sums[m][n][2 * h + 1]);
      }
    }
#endif
}

}  // namespace norch::kernels::cuda
