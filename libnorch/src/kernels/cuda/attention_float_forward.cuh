// Attention of float32: as in attention_forward.cuh, with products of attention_float_tiles.cuh.
#pragma once

#include "kernels/cuda/attention_float_tiles.cuh"
#include "kernels/cuda/attention_weights.cuh"

namespace norch::kernels::cuda {

/// kWidth is the width of q, k and v, filled up with zeros. A warp takes 16 * kTiles rows of q, and a product 8 * kDepth
/// columns of its operands.
template <int width, int tiles, int keys, int warps, int blocks, int depth>
struct FloatForwardShape {
  static constexpr int kWidth = width, kTiles = tiles, kKeys = keys, kThreads = warps * 32, kBlocks = blocks;
  static constexpr int kDepth = depth;
  static constexpr int kRows = 16 * tiles * warps;
  using Q = FloatTile<kRows, width>;
  using K = FloatTile<keys, width>;
  static constexpr int kShared = Q::kBytes + 4 * K::kBytes;
};

/// General: with a mask or dropout.
template <class S, bool General>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks) float_attention_kernel(AttentionCall call) {
#if __CUDA_ARCH__ >= 800
  constexpr int M = S::kTiles, N = S::kKeys / 8, W = S::kWidth / 8, Z = S::kDepth;
  using Q = typename S::Q;
  using K = typename S::K;
  extern __shared__ SharedBlock shared[];
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32, g = lane / 4, t = lane % 4;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns);

  const RowBlock own = RowBlock::of<S>(a);
  const int i0 = own.i0, head = own.head, batch = own.batch;
  const float* k = begin_of<const float>(a.k, batch, head / call.group);
  const float* v = begin_of<const float>(a.v, batch, head / call.group);
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
  Q::template load<S::kThreads>(q_tile, begin_of<const float>(a.q, batch, head) + i0 * a.q.row, a.q.row, rows - i0, width);
  load_step(0);

  const uint32_t q_lane = q_tile + Q::lane_a(lane) + warp * 16 * M * Q::kRowBytes;
  float out[M][W][4] = {};
  RowSums<M> row_sums(General ? 1.0f : call.scale_log2);
  const Veil<float> veil(call, batch, head);

  for (int step = 0; step < steps; ++step) {
    mma::wait_for_copies<0>();
    __syncthreads();
    if (step + 1 < steps) load_step(step + 1);
    const int j0 = step * S::kKeys;
    if (a.causal && j0 > first_row + 16 * M - 1) continue;  // nothing that this warp's rows see
    const uint32_t k_tile = kv_tiles + (step & 1) * 2 * K::kBytes;
    const uint32_t k_lane = k_tile + K::lane_b(lane), v_lane = k_tile + K::kBytes + K::lane_across(lane);

    float s[M][N][4] = {};
#pragma unroll
    for (int w = 0; w < W; w += Z) {
      Split<4> x[Z][M];
      Split<2> b[Z][N];
#pragma unroll
      for (int z = 0; z < Z; ++z) {
#pragma unroll
        for (int m = 0; m < M; ++m) load_a(x[z][m], (q_lane ^ ((w + z) * 32)) + m * 16 * Q::kRowBytes);
        load_b<K>(b[z], k_lane ^ ((w + z) * 32));
      }
      add_products(s, 0, x, b);
    }

    const auto row_of = [&](int m, int, int r) { return first_row + m * 16 + g + (r / 2) * 8; };
    const auto column_of = [&](int, int n, int r) { return j0 + n * 8 + 2 * t + r % 2; };
    const bool edge = j0 + S::kKeys > columns || (a.causal && j0 + S::kKeys - 1 > first_row);
    if (General || edge) mask_scores<General>(s, call, veil, row_of, column_of);
    row_sums.weigh(s, out);
    if (General && veil.drops()) drop_weights(s, veil, row_of, column_of);

#pragma unroll
    for (int n = 0; n < N; n += Z) {
      Split<4> p[Z][M];
#pragma unroll
      for (int z = 0; z < Z; ++z)
#pragma unroll
        for (int m = 0; m < M; ++m) as_a(p[z][m], s[m][n + z]);
#pragma unroll
      for (int w = 0; w < W; w += 4) {
        Split<2> b[Z][4];
#pragma unroll
        for (int z = 0; z < Z; ++z) load_across<K>(b[z], v_lane + w * 32 + (n + z) * 8 * K::kRowBytes);
        add_products(out, w, p, b);
      }
    }
  }

  float* result = begin_of<float>(a.out, batch, head);
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
      if (t == 0) log_sums[row] = blind ? kInfinity : row_sums.high[m][h] * row_sums.unit + log2f(total);
      float* const to = result + row * a.out.row + 8 * t;
#pragma unroll
      for (int w = 0; w < W; w += 4)
        if (w * 8 + 8 * t < value_width) write_across(to + w * 8, out[m], w, h, factor);
    }
#endif
}

template <class S, bool General>
void launch_float_attention(const FusedAttention& a) {
  const int64_t blocks = (a.rows + S::kRows - 1) / S::kRows * a.batch * a.heads;
  launch(float_attention_kernel<S, General>, blocks_for(blocks, 1), S::kThreads, S::kShared, AttentionCall(a));
}

}  // namespace norch::kernels::cuda
