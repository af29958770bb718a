// Attention (Dao, "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", 2023): a block of
// threads takes a block of rows of q past the blocks of keys, which stream through shared memory, and keeps of every row
// the highest score and the sum of the exponentials so far. Scores, weights and sums stay in registers.
#pragma once

#include "kernels/cuda/attention_weights.cuh"

namespace norch::kernels::cuda {

/// kWidth is the width of q, k and v, filled up with zeros. A warp takes 16 * kTiles rows of q.
template <int width, int tiles, int keys, int warps, bool keeps_q>
struct ForwardShape {
  static constexpr int kWidth = width, kTiles = tiles, kKeys = keys, kWarps = warps, kThreads = warps * 32;
  static constexpr int kRows = 16 * tiles * warps;
  static constexpr bool kKeepsQ = keeps_q;  // in registers
  using Q = Tile<kRows, width>;
  using K = Tile<keys, width>;
  static constexpr int kShared = Q::kBytes + 4 * K::kBytes;
};

/// General: with a mask or dropout.
template <class T, class S, bool General>
__global__ void __launch_bounds__(S::kThreads, 2) attention_kernel(AttentionCall call) {
#if __CUDA_ARCH__ >= 800
  constexpr int M = S::kTiles, N = S::kKeys / 8, W = S::kWidth / 8;
  using Q = typename S::Q;
  using K = typename S::K;
  extern __shared__ SharedBlock shared[];
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32, g = lane / 4, t = lane % 4;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns);

  const RowBlock own = RowBlock::of<S>(a);
  const int i0 = own.i0, head = own.head, batch = own.batch;
  const T* k = begin_of<const T>(a.k, batch, head / call.group);
  const T* v = begin_of<const T>(a.v, batch, head / call.group);
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);
  const int first_row = i0 + warp * 16 * M;
  const int end = a.causal ? min(columns, i0 + S::kRows) : columns;
  const int steps = (end + S::kKeys - 1) / S::kKeys;

  const uint32_t q_tile = mma::shared_address(shared), kv_tiles = q_tile + Q::kBytes;
  const auto load_step = [&](int step) {
    const uint32_t to = kv_tiles + (step & 1) * 2 * K::kBytes;
    const int j0 = step * S::kKeys;
    K::template load<S::kThreads>(to, k + j0 * a.k.row, a.k.row, columns - j0, width);
    K::template load<S::kThreads>(to + K::kBytes, v + j0 * a.v.row, a.v.row, columns - j0, value_width);
    mma::commit_copies();
  };
  Q::template load<S::kThreads>(q_tile, begin_of<const T>(a.q, batch, head) + i0 * a.q.row, a.q.row, rows - i0, width);
  load_step(0);

  const uint32_t q_lane = q_tile + Q::lane_a(lane) + warp * 16 * M * Q::kRowBytes;
  uint32_t q_kept[S::kKeepsQ ? M : 1][S::kKeepsQ ? W / 2 : 1][4];
  float out[M][W][4] = {};
  RowSums<M> row_sums(General ? 1.0f : call.scale_log2);
  const Veil<T> veil(call, batch, head);

  for (int step = 0; step < steps; ++step) {
    mma::wait_for_copies<0>();
    __syncthreads();
    if (step + 1 < steps) load_step(step + 1);
    if (S::kKeepsQ && step == 0) {
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int w = 0; w < W / 2; ++w)
          mma::load_matrices(q_kept[S::kKeepsQ ? m : 0][S::kKeepsQ ? w : 0], (q_lane ^ (w * 32)) + m * 16 * Q::kRowBytes);
    }
    const int j0 = step * S::kKeys;
    if (a.causal && j0 > first_row + 16 * M - 1) continue;  // nothing that this warp's rows see
    const uint32_t k_tile = kv_tiles + (step & 1) * 2 * K::kBytes;
    const uint32_t k_lane = k_tile + K::lane_b(lane), v_lane = k_tile + K::kBytes + K::lane_b_transposed(lane);

    float s[M][N][4] = {};
#pragma unroll
    for (int w = 0; w < W / 2; ++w) {
      uint32_t q_now[M][4];
#pragma unroll
      for (int m = 0; m < M; ++m) {
        if (S::kKeepsQ) {
#pragma unroll
          for (int r = 0; r < 4; ++r) q_now[m][r] = q_kept[S::kKeepsQ ? m : 0][S::kKeepsQ ? w : 0][r];
        } else {
          mma::load_matrices(q_now[m], (q_lane ^ (w * 32)) + m * 16 * Q::kRowBytes);
        }
      }
#pragma unroll
      for (int n = 0; n < N; n += 2) {
        uint32_t b[4];
        mma::load_matrices(b, (k_lane ^ (w * 32)) + n * 8 * K::kRowBytes);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          mma::multiply<T>(s[m][n], q_now[m], b[0], b[1]);
          mma::multiply<T>(s[m][n + 1], q_now[m], b[2], b[3]);
        }
      }
    }

    const auto row_of = [&](int m, int, int r) { return first_row + m * 16 + g + (r / 2) * 8; };
    const auto column_of = [&](int, int n, int r) { return j0 + n * 8 + 2 * t + r % 2; };
    const bool edge = j0 + S::kKeys > columns || (a.causal && j0 + S::kKeys - 1 > first_row);
    if (General || edge) mask_scores<General>(s, call, veil, row_of, column_of);
    row_sums.weigh(s, out);
    if (General && veil.drops()) drop_weights(s, veil, row_of, column_of);

#pragma unroll
    for (int n = 0; n < N; n += 2) {
      uint32_t p[M][4];
#pragma unroll
      for (int m = 0; m < M; ++m) {
        p[m][0] = mma::pack<T>(s[m][n][0], s[m][n][1]);
        p[m][1] = mma::pack<T>(s[m][n][2], s[m][n][3]);
        p[m][2] = mma::pack<T>(s[m][n + 1][0], s[m][n + 1][1]);
        p[m][3] = mma::pack<T>(s[m][n + 1][2], s[m][n + 1][3]);
      }
#pragma unroll
      for (int w = 0; w < W; w += 2) {
        uint32_t b[4];
        mma::load_transposed(b, (v_lane ^ (w * 16)) + n * 8 * K::kRowBytes);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          mma::multiply<T>(out[m][w], p[m], b[0], b[1]);
          mma::multiply<T>(out[m][w + 1], p[m], b[2], b[3]);
        }
      }
    }
  }

  T* result = begin_of<T>(a.out, batch, head);
  float* log_sums = a.log_sums + (static_cast<int64_t>(batch) * a.heads + head) * rows;
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float total = row_sums.total(m, h);
      const int row = first_row + m * 16 + g + h * 8;
      if (row >= rows) continue;
      const bool blind = General && a.mask.data && row_sums.high[m][h] == -kInfinity;
      const float factor = blind ? 0.0f : (General ? call.keep_scale : 1.0f) / total;
      if (t == 0)
        log_sums[row] = blind ? kInfinity : row_sums.high[m][h] * row_sums.unit * 0.6931471805599453f + logf(total);
      T* const to = result + row * a.out.row + 2 * t;
#pragma unroll
      for (int w = 0; w < W; ++w)
        if (w * 8 < value_width)
          *reinterpret_cast<uint32_t*>(to + w * 8) = mma::pack<T>(out[m][w][2 * h] * factor, out[m][w][2 * h + 1] * factor);
    }
#endif
}

template <class T, class S, bool General>
void launch_attention(const FusedAttention& a) {
  const int64_t blocks = (a.rows + S::kRows - 1) / S::kRows * a.batch * a.heads;
  launch(attention_kernel<T, S, General>, blocks_for(blocks, 1), S::kThreads, S::kShared, AttentionCall(a));
}

}  // namespace norch::kernels::cuda
