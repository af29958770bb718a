// Products of float32 matrices by matmul_float_sm90a.cuh: which tiles are made, and how the matrices come into shared
// memory and registers, split.
#pragma once

#include "kernels/cuda/hopper.cuh"

namespace norch::kernels::cuda {

/// C = alpha A B + beta C + bias for a batch of matrices. With several `splits`, matrix s * batch + i of C is part s of
/// the sum of matrix i: of `steps` steps of 32 terms.
struct FloatProduct {
  const float *a, *b, *bias;
  float* c;
  int64_t a_row, a_col, a_batch, b_row, b_col, b_batch, c_row, c_batch;
  int m, n, k, batch, splits, steps, row_tiles, column_tiles;
  int steps_to_total;  // after so many steps, a sum is added to the total
  float alpha, beta;
};

struct FloatProductShape {
  static constexpr int kRows = 128, kColumns = 128, kTerms = 32, kStages = 4;
  static constexpr int kWorkers = 256, kLoaders = 128, kThreads = kWorkers + kLoaders;
  static constexpr int kLeft = kRows * kTerms * 4, kRight = 3 * kColumns * kTerms * 2, kStage = kLeft + kRight;
  static constexpr int kPart = kColumns * kTerms * 2;  // of b, in a stage
  static constexpr int kTotals = kRows * kColumns * 4;  // sums of the second level
  static constexpr int kShared = kStages * kStage + kTotals + kStages * 16;
  static constexpr float kScale = 16777216.0f;  // 2^24
  static constexpr float kLargest = 1.0e36f;    // of sums that nothing has overflowed on the way to
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// Two numbers as three pairs of bfloat16.
__device__ __forceinline__ void split_pair(float x, float y, uint32_t& high, uint32_t& middle, uint32_t& low) {
  x *= FloatProductShape::kScale;
  y *= FloatProductShape::kScale;
  high = mma::pack<BFloat16>(x, y);
  x -= __uint_as_float(high << 16);
  y -= __uint_as_float(high & 0xFFFF0000u);
  // 16 bits are left: the upper eight, and the rest.
  middle = __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
  x -= __uint_as_float(__float_as_uint(x) & 0xFFFF0000u);
  y -= __uint_as_float(__float_as_uint(y) & 0xFFFF0000u);
  low = __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
}

/// Piece number `index` of the work: a tile of the result, and the terms of it that are taken.
struct FloatTileWork {
  int row, column, matrix, result, step, steps;  // matrix of A and B, and of C; steps [step, steps) of kTerms terms

  __device__ __forceinline__ FloatTileWork(const FloatProduct& p, int64_t index) {
    using S = FloatProductShape;
    const int tiles = p.row_tiles * p.column_tiles, tile = static_cast<int>(index % tiles);
    result = static_cast<int>(index / tiles);
    matrix = result % p.batch;
    const int part = result / p.batch;
    // Bands of tiles, so that blocks that run together share rows and columns.
    constexpr int kBand = 12;
    const int band = tile / (kBand * p.column_tiles), within = tile % (kBand * p.column_tiles);
    const int height = min(kBand, p.row_tiles - band * kBand);
    row = (band * kBand + within % height) * S::kRows;
    column = within / height * S::kColumns;
    step = part * p.steps;
    steps = min(step + p.steps, (p.k + S::kTerms - 1) / S::kTerms);
  }
  static __device__ __forceinline__ int64_t count(const FloatProduct& p) {
    return static_cast<int64_t>(p.row_tiles) * p.column_tiles * p.batch * p.splits;
  }
};

/// Four adjacent numbers, of which `valid` are there.
__device__ __forceinline__ float4 load_four(const float* from, int valid) {
  if (valid >= 4) return __ldg(reinterpret_cast<const float4*>(from));
  float4 v = make_float4(0, 0, 0, 0);
  if (valid > 0) v.x = __ldg(from);
  if (valid > 1) v.y = __ldg(from + 1);
  if (valid > 2) v.z = __ldg(from + 2);
  return v;
}

/// Copies a's part of a stage: rows of 32 terms, or, `across`, rows of 128 of one term each. Chunks of 16 bytes are
/// swapped so that load_left is free of bank conflicts.
template <bool across>
struct LeftLoad {
  using S = FloatProductShape;
  static constexpr int kChunks = across ? 32 : 8, kLines = across ? S::kTerms : S::kRows, kPass = S::kLoaders / kChunks;
  const float* from;
  int line, chunk;    // this thread's first
  int lines, length;  // how many lines, and numbers of its chunks, there are from these on

  __device__ __forceinline__ void begin(const FloatProduct& p, const FloatTileWork& w, int thread) {
    line = thread / kChunks;
    chunk = thread % kChunks;
    const int k0 = w.step * S::kTerms;
    lines = (across ? p.k - k0 : p.m - w.row) - line;
    length = (across ? p.m - w.row : p.k - k0) - chunk * 4;
    from = p.a + w.matrix * p.a_batch +
           (across ? (k0 + line) * p.a_col + (w.row + chunk * 4) : (w.row + line) * p.a_row + (k0 + chunk * 4));
  }
  __device__ __forceinline__ void advance(const FloatProduct& p) {
    (across ? lines : length) -= S::kTerms;
    from += across ? S::kTerms * p.a_col : S::kTerms;
  }
  __device__ __forceinline__ void copy(uint32_t to, const FloatProduct& p) const {
    const int bytes = min(4, max(0, length)) * 4;
    const int64_t pass = kPass * (across ? p.a_col : p.a_row);
#pragma unroll
    for (int r = 0; r < kLines / kPass; ++r) {
      const int i = line + r * kPass, swap = across ? ((i >> 1) & 3) * 2 : (i & 3) * 2;
      const int valid = r * kPass < lines ? bytes : 0;
      mma::copy_async_part(to + (i * kChunks + (chunk ^ swap)) * 16, valid ? from + r * pass : p.a, valid);
    }
  }
};

/// A warp's 16 x 32 of a: raw[k] are columns 16 k to 16 k + 15, in the order of mma.cuh's a.
template <bool across>
__device__ __forceinline__ void load_left(float (&raw)[2][4][2], uint32_t from, int row, int lane) {
  const int g = lane / 4, t = lane % 4;
#pragma unroll
  for (int k = 0; k < 2; ++k)
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int i = row + g + r % 2 * 8, chunk = k * 4 + r / 2 * 2;
      if constexpr (across) {
#pragma unroll
        for (int e = 0; e < 2; ++e)
          mma::load_shared(raw[k][r][e], from + (chunk * 4 + 2 * t + e) * 512 + (((i >> 2) ^ (2 * t)) << 4) + (i & 3) * 4);
      } else {
        mma::load_shared(raw[k][r], from + i * 128 + ((chunk ^ (2 * (g & 3))) << 4) + t * 8);
      }
    }
}

/// parts[i] is part i.
__device__ __forceinline__ void split_left(uint32_t (&parts)[3][2][4], const float (&raw)[2][4][2]) {
#pragma unroll
  for (int k = 0; k < 2; ++k)
#pragma unroll
    for (int r = 0; r < 4; ++r)
      split_pair(raw[k][r][0], raw[k][r][1], parts[0][k][r], parts[1][k][r], parts[2][k][r]);
}

/// Where b's parts of a stage are. Terms along the rows of the memory: rows of 128 bytes, 32 terms of part 0 and 32 of
/// part 1, and for two stages rows of 32 terms of part 2 of each. Else (`across`): two panels of 32 rows of 64 columns
/// for each.
template <bool across>
struct RightStage {
  using S = FloatProductShape;
  uint32_t pair, low;
  __device__ __forceinline__ RightStage(uint32_t right, int stage)
      : pair(across ? right + stage * S::kRight : right + stage * 2 * S::kPart),
        low(across ? pair + 2 * S::kPart
                   : right + S::kStages * 2 * S::kPart + stage / 2 * 2 * S::kPart + stage % 2 * 64) {}
  /// Part `part` of terms 16 k to 16 k + 15.
  __device__ __forceinline__ uint64_t operand(int part, int k) const {
    if constexpr (across) return hopper::operand(pair + part * S::kPart + k * 2048, S::kPart / 2);
    return part == 2 ? hopper::operand(low + k * 32) : hopper::operand(pair + part * 64 + k * 32);
  }
};

/// What a loader has of a stage's part of b on the way: for each of four units, eight adjacent numbers.
template <bool across>
struct RightLoad {
  using S = FloatProductShape;
  static constexpr int kUnits = 512 / S::kLoaders, kPass = across ? S::kLoaders / 16 : S::kLoaders / 4;
  float4 v[2][kUnits][2];  // of a step, and of the next
  const float* from;
  int lines, length;

  /// The line of unit `u`, a column of b, or, `across`, a term, and which eight of it.
  static __device__ __forceinline__ void place(int u, int thread, int& line, int& eight) {
    if constexpr (across) {
      line = u * kPass + thread / 16;
      eight = thread % 16;
    } else {
      // Rows 4 apart are neighbours, so that eight lanes write to all banks.
      const int q = u * kPass + thread / 4;
      line = (q & ~7) | ((q & 1) << 2) | ((q >> 1) & 3);
      eight = thread % 4;
    }
  }
  __device__ __forceinline__ void begin(const FloatProduct& p, const FloatTileWork& w, int thread) {
    int line, eight;
    place(0, thread, line, eight);
    const int k0 = w.step * S::kTerms;
    lines = (across ? p.k - k0 : p.n - w.column) - line;
    length = (across ? p.n - w.column : p.k - k0) - eight * 8;
    from = p.b + w.matrix * p.b_batch +
           (across ? (k0 + line) * p.b_row + (w.column + eight * 8) : (w.column + line) * p.b_col + (k0 + eight * 8));
  }
  __device__ __forceinline__ void advance(const FloatProduct& p) {
    (across ? lines : length) -= S::kTerms;
    from += across ? S::kTerms * p.b_row : S::kTerms;
  }
  __device__ __forceinline__ void fetch(int s, int u, const FloatProduct& p) {
    const float* const at = from + u * kPass * (across ? p.b_row : p.b_col);
    const int valid = u * kPass < lines ? length : 0;
    v[s][u][0] = load_four(at, valid);
    v[s][u][1] = load_four(at + 4, valid - 4);
  }
  __device__ __forceinline__ void store(int s, int u, const RightStage<across>& to, int thread) const {
    int line, eight;
    place(u, thread, line, eight);
    uint32_t parts[3][4];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      split_pair(v[s][u][h].x, v[s][u][h].y, parts[0][2 * h], parts[1][2 * h], parts[2][2 * h]);
      split_pair(v[s][u][h].z, v[s][u][h].w, parts[0][2 * h + 1], parts[1][2 * h + 1], parts[2][2 * h + 1]);
    }
    if constexpr (across) {
      const uint32_t at = to.pair + eight / 8 * (S::kPart / 2) + line * 128 + (((eight % 8) ^ (line & 7)) << 4);
#pragma unroll
      for (int i = 0; i < 3; ++i) mma::store_shared(at + i * S::kPart, parts[i]);
    } else {
      const uint32_t row = line * 128, swap = line & 7;
      mma::store_shared(to.pair + row + ((eight ^ swap) << 4), parts[0]);
      mma::store_shared(to.pair + row + (((eight + 4) ^ swap) << 4), parts[1]);
      // `low` has bit 6 set for the second of two stages, which is chunk 4.
      const uint32_t second = to.low & 64;
      mma::store_shared((to.low & ~64u) + row + (((eight + second / 16) ^ swap) << 4), parts[2]);
    }
  }
};

#endif

}  // namespace norch::kernels::cuda
