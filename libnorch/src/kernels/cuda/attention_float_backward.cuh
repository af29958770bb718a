// The gradients of attention of float32: as in attention_backward.cuh, with products of attention_float_tiles.cuh.
#pragma once

#include "kernels/cuda/attention_backward_work.cuh"
#include "kernels/cuda/attention_float_tiles.cuh"

namespace norch::kernels::cuda {

/// A warp takes 16 * tiles keys, a step `rows` rows, and a product 8 * kDepth columns of its operands.
template <int width, int tiles, int rows, int warps, int blocks, int depth>
struct FloatBackwardShape {
  static constexpr int kWidth = width, kTiles = tiles, kRows = rows, kThreads = warps * 32, kBlocks = blocks;
  static constexpr int kDepth = depth;
  static constexpr int kKeys = 16 * tiles * warps;
  /// Of the gradient of q, rows x width, a warp makes kOutRows x kOutColumns.
  static constexpr int kOutColumns = 32, kOutRows = rows * width / warps / kOutColumns;
  static_assert(kOutRows % 16 == 0 && rows % kOutRows == 0);
  using Q = FloatTile<rows, width>;
  using K = FloatTile<kKeys, width>;
  using D = FloatTile<rows, kKeys>;  // gradients of scores; of eight neighbouring keys, the even ones first
  static constexpr int kRowBytes = rows * 8;  // of RowValues
  static constexpr int kStage = 2 * Q::kBytes + std::max(kRowBytes, Q::kRowBytes);
  static constexpr int kShared = 2 * K::kBytes + D::kBytes + 2 * kStage + 16;
};

template <class S, bool General>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    float_attention_backward_kernel(AttentionCall call, FusedAttentionGradients grads, BackwardRoom room) {
#if __CUDA_ARCH__ >= 800
  constexpr int M = S::kTiles, N = S::kRows / 8, W = S::kWidth / 8, Z = S::kDepth, kPublish = S::kKeys / S::kRows;
  using Q = typename S::Q;
  using K = typename S::K;
  using D = typename S::D;
  extern __shared__ SharedBlock shared[];
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32, g = lane / 4, t = lane % 4;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns);
  int& ticket = *reinterpret_cast<int*>(reinterpret_cast<char*>(shared) + S::kShared - 16);
  if (threadIdx.x == 0) ticket = atomicAdd(room.taken, 1);
  __syncthreads();

  const KeyBlock<false> keys = KeyBlock<false>::of<S>(call, room, KeyBlock<false>::place<S>(call, ticket));
  const int j0 = keys.j0, first_key = j0 + warp * 16 * M, batch = keys.batch, steps = keys.steps;
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);

  const uint32_t k_tile = mma::shared_address(shared), v_tile = k_tile + K::kBytes, d_tile = v_tile + K::kBytes;
  const uint32_t stages = d_tile + D::kBytes;
  const float* const q_from = begin_of<const float>(a.q, batch, 0);
  const float* const g_from = begin_of<const float>(grads.out, batch, 0);
  const RowValues* const values_from = room.values + static_cast<int64_t>(batch) * a.heads * room.padded;
  const auto load_step = [&](int step, const StepRows<false>& at) {
    const int i0 = at.i * S::kRows;
    const uint32_t to = stages + (step & 1) * S::kStage;
    Q::template load<S::kThreads>(to, q_from + at.head * a.q.head + i0 * a.q.row, a.q.row, rows - i0, width);
    Q::template load<S::kThreads>(to + Q::kBytes, g_from + at.head * grads.out.head + i0 * grads.out.row, grads.out.row,
                                  rows - i0, value_width);
    if (threadIdx.x < S::kRowBytes / 16)
      mma::copy_async(to + 2 * Q::kBytes + threadIdx.x * 16,
                      values_from + static_cast<int64_t>(at.head) * room.padded + i0 + threadIdx.x * 2, true);
    mma::commit_copies();
  };
  StepRows<false> now(keys), next = now;
  const float* const k_from = begin_of<const float>(a.k, batch, keys.kv_head) + j0 * a.k.row;
  const float* const v_from = begin_of<const float>(a.v, batch, keys.kv_head) + j0 * a.v.row;
  K::template load<S::kThreads>(k_tile, k_from, a.k.row, columns - j0, width);
  K::template load<S::kThreads>(v_tile, v_from, a.v.row, columns - j0, value_width);
  if (steps > 0) load_step(0, now);

  const uint32_t k_lane = k_tile + K::lane_a(lane) + warp * 16 * M * K::kRowBytes;
  // Where its gradients of scores go: of key g and row 2t.
  const uint32_t d_lane = d_tile + D::at(2 * t, warp * 4 * M + (g & 1)) + (g >> 1) * 4;
  const auto store_gradients = [&](int m, int n, const float (&x)[4]) {
#pragma unroll
    for (int r = 0; r < 4; ++r)
      mma::store_shared((d_lane ^ ((m * 2 + r / 2) * 32 + r % 2 * 16)) + (n * 8 + r % 2) * D::kRowBytes,
                        __float_as_uint(x[r]));
  };
  float dk[M][W][4] = {}, dv[M][W][4] = {};
  int seen = 0;  // steps that the block of keys before has done

  for (int step = 0; step < steps; ++step, now.advance(keys)) {
    mma::wait_for_copies<0>();
    __syncthreads();
    if (threadIdx.x == 0 && step > 0 && step % kPublish == 0) mma::publish(keys.progress, step);
    if (step + 1 < steps) {
      next.advance(keys);
      load_step(step + 1, next);
    }
    const int i = now.i, i0 = i * S::kRows, head = now.head;
    const uint32_t q_tile = stages + (step & 1) * S::kStage;

    if (a.causal && first_key > i0 + S::kRows - 1) {  // no row sees keys of this warp
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int n = 0; n < N; ++n) store_gradients(m, n, {0, 0, 0, 0});
    } else {
      float s[M][N][4] = {}, d[M][N][4] = {};
      const uint32_t q_lane = q_tile + Q::lane_b(lane), q_lane_across = q_tile + Q::lane_across(lane);
#pragma unroll
      for (int w = 0; w < W; w += Z) {
        Split<4> x[Z][M];
        Split<2> b[Z][N];
#pragma unroll
        for (int z = 0; z < Z; ++z) {
#pragma unroll
          for (int m = 0; m < M; ++m) load_a(x[z][m], (k_lane ^ ((w + z) * 32)) + m * 16 * K::kRowBytes);
          load_b<Q>(b[z], q_lane ^ ((w + z) * 32));
        }
        add_products(s, 0, x, b);
      }
#pragma unroll
      for (int w = 0; w < W; w += Z) {
        Split<4> x[Z][M];
        Split<2> b[Z][N];
#pragma unroll
        for (int z = 0; z < Z; ++z) {
#pragma unroll
          for (int m = 0; m < M; ++m) load_a(x[z][m], (k_lane ^ ((w + z) * 32)) + K::kBytes + m * 16 * K::kRowBytes);
          load_b<Q>(b[z], (q_lane ^ ((w + z) * 32)) + Q::kBytes);
        }
        add_products(d, 0, x, b);
      }

      // s becomes the weights, as they met the values, and d the gradients of the scores.
      const char* const values_at = reinterpret_cast<const char*>(shared) + (q_tile + 2 * Q::kBytes - k_tile);
      const RowValues* const values = reinterpret_cast<const RowValues*>(values_at) + 2 * t;
      const auto row_of = [&](int, int n, int r) { return i0 + n * 8 + 2 * t + r % 2; };
      const auto key_of = [&](int m, int, int r) { return first_key + m * 16 + g + (r / 2) * 8; };
      const bool edge = j0 + S::kKeys > columns || (a.causal && first_key + 16 * M - 1 > i0);
      const Veil<float> veil(call, batch, head);
      if (General || edge) mask_scores<General>(s, call, veil, row_of, key_of);
      weigh_transposed<General>(s, d, values, General ? 1.0f : call.scale_log2, call, veil, row_of, key_of);

#pragma unroll
      for (int n = 0; n < N; n += Z) {
        Split<4> x[Z][M];
#pragma unroll
        for (int z = 0; z < Z; ++z)
#pragma unroll
          for (int m = 0; m < M; ++m) as_a(x[z][m], s[m][n + z]);
#pragma unroll
        for (int w = 0; w < W; w += 4) {
          Split<2> b[Z][4];
#pragma unroll
          for (int z = 0; z < Z; ++z)
            load_across<Q>(b[z], q_lane_across + Q::kBytes + w * 32 + (n + z) * 8 * Q::kRowBytes);
          add_products(dv, w, x, b);
        }
#pragma unroll
        for (int z = 0; z < Z; ++z)
#pragma unroll
          for (int m = 0; m < M; ++m) {
            store_gradients(m, n + z, d[m][n + z]);
            as_a(x[z][m], d[m][n + z]);
          }
#pragma unroll
        for (int w = 0; w < W; w += 4) {
          Split<2> b[Z][4];
#pragma unroll
          for (int z = 0; z < Z; ++z) load_across<Q>(b[z], q_lane_across + w * 32 + (n + z) * 8 * Q::kRowBytes);
          add_products(dk, w, x, b);
        }
      }
    }

    const bool starts = now.starts(keys), ends = now.ends(keys);
    if (threadIdx.x == 0 && !starts)
      while (seen < now.needed(keys)) seen = mma::observe(keys.before);
    __syncthreads();

    constexpr int kColumnGroups = S::kWidth / S::kOutColumns, R = S::kOutRows / 16;
    const int out_row = warp / kColumnGroups * S::kOutRows, out_column = warp % kColumnGroups * S::kOutColumns;
    const uint32_t x_lane = d_tile + D::lane_a(lane) + out_row * D::kRowBytes;
    const uint32_t b_lane = k_tile + K::lane_across(lane) + out_column * 4;
    float dq[R][4][4] = {};
#pragma unroll
    for (int n = 0; n < S::kKeys / 8; n += Z) {
      Split<4> x[Z][R];
      Split<2> b[Z][4];
#pragma unroll
      for (int z = 0; z < Z; ++z) {
#pragma unroll
        for (int m = 0; m < R; ++m) load_a(x[z][m], (x_lane ^ ((n + z) * 32)) + m * 16 * D::kRowBytes);
        load_across<K>(b[z], b_lane + (n + z) * 8 * K::kRowBytes);
      }
      add_products(dq, 0, x, b);
    }
    float* sums = room.grad_q +
                  ((static_cast<int64_t>(batch) * a.heads + head) * keys.row_blocks + i) * (S::kRows * S::kWidth) +
                  (warp * 4 * R * 32 + lane) * 4;
    float* const to = begin_of<float>(grads.q, batch, head) + (i0 + out_row + g) * grads.q.row + out_column + 8 * t;
#pragma unroll
    for (int m = 0; m < R; ++m) {
#pragma unroll
      for (int c = 0; c < 4; ++c) add_in_turn(dq[m][c], sums + (m * 4 + c) * 128, starts, ends);
      if (!ends) continue;
#pragma unroll
      for (int h = 0; h < 2; ++h)
        if (i0 + out_row + m * 16 + h * 8 + g < rows && out_column + 8 * t < width)
          write_across(to + (m * 16 + h * 8) * grads.q.row, dq[m], 0, h, call.scale);
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) mma::publish(keys.progress, steps);

  float* const k_out = begin_of<float>(grads.k, batch, keys.kv_head);
  float* const v_out = begin_of<float>(grads.v, batch, keys.kv_head);
  const float v_scale = General ? call.keep_scale : 1.0f;
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int key = first_key + m * 16 + h * 8 + g;
      if (key >= columns) continue;
#pragma unroll
      for (int w = 0; w < W; w += 4) {
        const int column = w * 8 + 8 * t;
        if (column < width) write_across(k_out + key * grads.k.row + column, dk[m], w, h, call.scale);
        if (column < value_width) write_across(v_out + key * grads.v.row + column, dv[m], w, h, v_scale);
      }
    }
#endif
}

template <class S, bool General>
void launch_float_attention_backward(const FusedAttention& a, const FusedAttentionGradients& grads) {
  const BackwardWork work(a, S::kRows, S::kKeys, S::kWidth);
  launch_attention_values<float, S::kWidth>(a, grads.out, work);
  launch(float_attention_backward_kernel<S, General>, blocks_for(work.blocks, 1), S::kThreads, S::kShared, AttentionCall(a),
         grads, work.room);
}

}  // namespace norch::kernels::cuda
