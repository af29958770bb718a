// Products of float32 matrices on the tensor cores, to float32's accuracy, and their tiles in shared memory.
//
// A number is the sum of two of TF32, the second of which is what the first leaves of it; a product is
// low * high + high * low + high * high (Markidis et al., "NVIDIA Tensor Core Programmability, Performance & Precision",
// 2018). Tensor cores round sums towards zero, which would add up: each product of 8 or 16 columns begins at zero, with
// its small parts, and is added to its sum outside (Ootomo and Yokota, "Recovering single precision accuracy from Tensor
// Cores while surpassing the FP32 theoretical peak performance", 2022). Infinite numbers become NaN.
#pragma once

#include "kernels/cuda/attention_tiles.cuh"

namespace norch::kernels::cuda {

/// A tile of rows x width floats, whose address is a multiple of kRowBytes. Chunks of 16 bytes are swapped within a row as
/// in Tile.
///
/// load_matrices reads fragments whose sums run along the rows. For sums across the rows, load_across reads a row's chunk:
/// of the eight rows that a product takes, a lane has rows 2t and 2t + 1 as its operands t and t + 4, which is the
/// order in which it holds a product's numbers; and of 32 columns it has 4g to 4g + 3, as column g of four fragments b.
/// Of their four products c, elements 0 (for row g + 8: 2) are columns 8t to 8t + 3, and elements 1 (3) columns 8t + 4
/// to 8t + 7.
template <int rows, int width>
struct FloatTile {
  static constexpr int kRows = rows, kChunks = width / 4, kRowBytes = width * 4, kBytes = rows * kRowBytes;
  static_assert(kChunks % 8 == 0);
  /// Byte of chunk `chunk` of row `row`; of chunk `chunk ^ c` it is this ^ (c * 16), of the row 8 on this + 8 * kRowBytes.
  static __device__ __forceinline__ uint32_t at(int row, int chunk) {
    return static_cast<uint32_t>(row * kRowBytes + ((chunk ^ (row & 7)) << 4));
  }
  /// Where a lane's rows of load_matrices are, of a 16 x 8 tile at row 0 and column 0: as `a`, or, of two neighbouring
  /// tiles, `b` of a product.
  static __device__ __forceinline__ uint32_t lane_a(int lane) { return at(lane & 15, lane >> 4); }
  static __device__ __forceinline__ uint32_t lane_b(int lane) {
    return at((lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
  }
  /// Where a lane's chunk of load_across is; that of its second row is this ^ 16, + kRowBytes.
  static __device__ __forceinline__ uint32_t lane_across(int lane) { return at(lane % 4 * 2, lane / 4); }

  /// Starts copies of the rows [0, valid) from `from` on into the tile at `to`; what is beyond them, or beyond `columns`,
  /// becomes 0.
  template <int threads>
  static __device__ __forceinline__ void load(uint32_t to, const float* from, int64_t stride, int valid, int columns) {
    constexpr int kPass = threads / kChunks;
    static_assert(threads % kChunks == 0 && rows % kPass == 0);
    const int chunk = static_cast<int>(threadIdx.x) % kChunks, first = static_cast<int>(threadIdx.x) / kChunks;
    const bool inside = chunk * 4 < columns;
    const float* source = from + first * stride + chunk * 4;
#pragma unroll
    for (int r = 0; r < rows; r += kPass) {
      const bool here = inside && first + r < valid;
      mma::copy_async(to + at(first + r, chunk), here ? source : from, here);
      source += kPass * stride;
    }
  }
};

/// Floats as two of TF32.
template <int n>
struct Split {
  uint32_t high[n], low[n];
  __device__ __forceinline__ void set(int i, float x) {
    high[i] = (__float_as_uint(x) + 0x1000u) & 0xFFFFE000u;  // cvt.rna.tf32 takes twice as many instructions
    // 12 bits at most: what the tensor cores do not read of it is its last.
    low[i] = __float_as_uint(x - __uint_as_float(high[i]));
  }
};

/// The fragment a of a product at `address`.
__device__ __forceinline__ void load_a(Split<4>& a, uint32_t address) {
  uint32_t words[4];
  mma::load_matrices(words, address);
#pragma unroll
  for (int i = 0; i < 4; ++i) a.set(i, __uint_as_float(words[i]));
}
/// N neighbouring fragments b.
template <class Tile, int N>
__device__ __forceinline__ void load_b(Split<2> (&b)[N], uint32_t address) {
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    uint32_t words[4];
    mma::load_matrices(words, address + n * 8 * Tile::kRowBytes);
#pragma unroll
    for (int i = 0; i < 4; ++i) b[n + i / 2].set(i % 2, __uint_as_float(words[i]));
  }
}
/// Four fragments b of a sum across the rows.
template <class Tile>
__device__ __forceinline__ void load_across(Split<2> (&b)[4], uint32_t address) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float words[4];
    mma::load_shared(words, (address ^ (i * 16)) + i * Tile::kRowBytes);
#pragma unroll
    for (int j = 0; j < 4; ++j) b[j].set(i, words[j]);
  }
}
/// A product as the fragment a of the next, whose sum runs along its columns.
__device__ __forceinline__ void as_a(Split<4>& a, const float (&c)[4]) {
  a.set(0, c[0]);
  a.set(1, c[2]);
  a.set(2, c[1]);
  a.set(3, c[3]);
}

/// sums[m][first + n] += a[0][m] b[0][n] + ... + a[K - 1][m] b[K - 1][n]
template <int K, int M, int N, int W>
__device__ __forceinline__ void add_products(float (&sums)[M][W][4], int first, const Split<4> (&a)[K][M],
                                             const Split<2> (&b)[K][N]) {
  float c[M][N][4];
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int m = 0; m < M; ++m) {
        if (k == 0)
          mma::multiply_tf32(c[m][n], a[k][m].low, b[k][n].high[0], b[k][n].high[1]);
        else
          mma::multiply_add_tf32(c[m][n], a[k][m].low, b[k][n].high[0], b[k][n].high[1]);
      }
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int m = 0; m < M; ++m) mma::multiply_add_tf32(c[m][n], a[k][m].high, b[k][n].low[0], b[k][n].low[1]);
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int m = 0; m < M; ++m) mma::multiply_add_tf32(c[m][n], a[k][m].high, b[k][n].high[0], b[k][n].high[1]);
#pragma unroll
  for (int n = 0; n < N; ++n)
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int r = 0; r < 4; ++r) sums[m][first + n][r] += c[m][n][r];
}

/// Writes four neighbouring fragments of a sum across the rows, times `factor`: half 0 is row g, half 1 row g + 8.
template <int W>
__device__ __forceinline__ void write_across(float* to, const float (&c)[W][4], int first, int half, float factor) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    *reinterpret_cast<float4*>(to + i * 4) =
        make_float4(c[first][2 * half + i] * factor, c[first + 1][2 * half + i] * factor,
                    c[first + 2][2 * half + i] * factor, c[first + 3][2 * half + i] * factor);
}

}  // namespace norch::kernels::cuda
