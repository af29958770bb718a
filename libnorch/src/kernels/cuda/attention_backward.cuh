// The gradients of attention. A block of threads takes a block of keys past the rows of q, which stream through shared
// memory, makes the weights again from the logarithms of their sums, and keeps the gradients of its keys and values in
// registers. A warp has keys of its own and all the rows: the transposed weights and their gradients are the operands of
// the next products where they lie.
#pragma once

#include "kernels/cuda/attention_backward_work.cuh"

namespace norch::kernels::cuda {

/// A warp takes 16 * tiles keys, and a step `rows` rows.
template <int width, int tiles, int rows, int warps, int blocks>
struct BackwardShape {
  static constexpr int kWidth = width, kTiles = tiles, kRows = rows, kWarps = warps, kThreads = warps * 32;
  static constexpr int kBlocks = blocks;
  static constexpr int kKeys = 16 * tiles * warps;
  /// Of the gradient of q, rows x width, a warp makes kOutRows x kOutColumns.
  static constexpr int kOutRows = 32, kOutColumns = rows * width / warps / kOutRows;
  static_assert(rows % kOutRows == 0 && kOutColumns % 16 == 0 && kValueThreads / (width / 8) <= kOutRows);
  using Q = Tile<rows, width>;
  using K = Tile<kKeys, width>;
  using D = Tile<kKeys, rows>;  // transposed gradients of scores
  static constexpr int kRowBytes = rows * 8;  // of RowValues
  static constexpr int kStage = 2 * Q::kBytes + kRowBytes;
  static constexpr int kShared = 2 * K::kBytes + D::kBytes + 2 * kStage + 16;
};

template <class T, class S, bool General>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_backward_kernel(AttentionCall call, FusedAttentionGradients grads, BackwardRoom room) {
#if __CUDA_ARCH__ >= 800
  constexpr int M = S::kTiles, N = S::kRows / 8, W = S::kWidth / 8, kPublish = S::kKeys / S::kRows;
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
  const T *const q_from = begin_of<const T>(a.q, batch, 0), *const g_from = begin_of<const T>(grads.out, batch, 0);
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
  const T *const k_from = begin_of<const T>(a.k, batch, keys.kv_head),
          *const v_from = begin_of<const T>(a.v, batch, keys.kv_head);
  K::template load<S::kThreads>(k_tile, k_from + j0 * a.k.row, a.k.row, columns - j0, width);
  K::template load<S::kThreads>(v_tile, v_from + j0 * a.v.row, a.v.row, columns - j0, value_width);
  if (steps > 0) load_step(0, now);

  const uint32_t k_lane = k_tile + K::lane_a(lane) + warp * 16 * M * K::kRowBytes;
  const uint32_t d_lane = d_tile + D::at(warp * 16 * M + g, 0) + t * 4;  // where its gradients of scores go
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
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int h = 0; h < 2; ++h)
            mma::store_shared((d_lane ^ (n * 16)) + (m * 16 + h * 8) * D::kRowBytes, 0);
    } else {
      float s[M][N][4] = {}, d[M][N][4] = {};
      const uint32_t q_lane = q_tile + Q::lane_b(lane), q_lane_transposed = q_tile + Q::lane_b_transposed(lane);
#pragma unroll
      for (int w = 0; w < W / 2; ++w) {
        uint32_t x[M][4];
#pragma unroll
        for (int m = 0; m < M; ++m) mma::load_matrices(x[m], (k_lane ^ (w * 32)) + m * 16 * K::kRowBytes);
#pragma unroll
        for (int n = 0; n < N; n += 2) {
          uint32_t b[4];
          mma::load_matrices(b, (q_lane ^ (w * 32)) + n * 8 * Q::kRowBytes);
#pragma unroll
          for (int m = 0; m < M; ++m) {
            mma::multiply<T>(s[m][n], x[m], b[0], b[1]);
            mma::multiply<T>(s[m][n + 1], x[m], b[2], b[3]);
          }
        }
      }
#pragma unroll
      for (int w = 0; w < W / 2; ++w) {
        uint32_t x[M][4];
#pragma unroll
        for (int m = 0; m < M; ++m) mma::load_matrices(x[m], (k_lane ^ (w * 32)) + K::kBytes + m * 16 * K::kRowBytes);
#pragma unroll
        for (int n = 0; n < N; n += 2) {
          uint32_t b[4];
          mma::load_matrices(b, (q_lane ^ (w * 32)) + Q::kBytes + n * 8 * Q::kRowBytes);
#pragma unroll
          for (int m = 0; m < M; ++m) {
            mma::multiply<T>(d[m][n], x[m], b[0], b[1]);
            mma::multiply<T>(d[m][n + 1], x[m], b[2], b[3]);
          }
        }
      }

      // s becomes the weights, as they met the values, and d the gradients of the scores.
      const char* const values_at = reinterpret_cast<const char*>(shared) + (q_tile + 2 * Q::kBytes - k_tile);
      const RowValues* const values = reinterpret_cast<const RowValues*>(values_at) + 2 * t;
      const auto row_of = [&](int, int n, int r) { return i0 + n * 8 + 2 * t + r % 2; };
      const auto key_of = [&](int m, int, int r) { return first_key + m * 16 + g + (r / 2) * 8; };
      const bool edge = j0 + S::kKeys > columns || (a.causal && first_key + 16 * M - 1 > i0);
      const Veil<T> veil(call, batch, head);
      const float unit = General ? 1.0f : call.scale_log2;
      if (General || edge) {
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int m = 0; m < M; ++m)
#pragma unroll
            for (int r = 0; r < 4; ++r) {
              const int row = row_of(m, n, r), key = key_of(m, n, r);
              if (General) s[m][n][r] = veil.masked(s[m][n][r] * call.scale_log2, row, key);
              if (key >= columns || (a.causal && key > row)) s[m][n][r] = -kInfinity;
            }
      }
      weigh_transposed<General>(s, d, values, unit, call, veil, row_of, key_of);

#pragma unroll
      for (int n = 0; n < N; n += 2) {
        uint32_t p[M][4], y[M][4];
#pragma unroll
        for (int m = 0; m < M; ++m) {
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            const int half = r % 2 * 2;
            p[m][r] = mma::pack<T>(s[m][n + r / 2][half], s[m][n + r / 2][half + 1]);
            y[m][r] = mma::pack<T>(d[m][n + r / 2][half], d[m][n + r / 2][half + 1]);
            mma::store_shared((d_lane ^ ((n + r / 2) * 16)) + (m * 16 + r % 2 * 8) * D::kRowBytes, y[m][r]);
          }
        }
#pragma unroll
        for (int w = 0; w < W; w += 2) {
          uint32_t b[4];
          mma::load_transposed(b, (q_lane_transposed ^ (w * 16)) + Q::kBytes + n * 8 * Q::kRowBytes);
#pragma unroll
          for (int m = 0; m < M; ++m) {
            mma::multiply<T>(dv[m][w], p[m], b[0], b[1]);
            mma::multiply<T>(dv[m][w + 1], p[m], b[2], b[3]);
          }
          mma::load_transposed(b, (q_lane_transposed ^ (w * 16)) + n * 8 * Q::kRowBytes);
#pragma unroll
          for (int m = 0; m < M; ++m) {
            mma::multiply<T>(dk[m][w], y[m], b[0], b[1]);
            mma::multiply<T>(dk[m][w + 1], y[m], b[2], b[3]);
          }
        }
      }
    }

    const bool starts = now.starts(keys), ends = now.ends(keys);
    if (threadIdx.x == 0 && !starts)
      while (seen < now.needed(keys)) seen = mma::observe(keys.before);
    __syncthreads();

    constexpr int kColumnGroups = S::kWidth / S::kOutColumns, C = S::kOutColumns / 8;
    const int out_row = warp / kColumnGroups * S::kOutRows, out_column = warp % kColumnGroups * S::kOutColumns;
    const uint32_t x_lane = (d_tile + D::lane_a_transposed(lane)) ^ static_cast<uint32_t>(out_row * 2);
    const uint32_t b_lane = (k_tile + K::lane_b_transposed(lane)) ^ static_cast<uint32_t>(out_column * 2);
    float dq[2][C][4] = {};
#pragma unroll
    for (int n = 0; n < S::kKeys / 16; ++n) {
      uint32_t x[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) mma::load_transposed(x[m], (x_lane ^ (m * 32)) + n * 16 * D::kRowBytes);
#pragma unroll
      for (int c = 0; c < C; c += 2) {
        uint32_t b[4];
        mma::load_transposed(b, (b_lane ^ (c * 16)) + n * 16 * K::kRowBytes);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          mma::multiply<T>(dq[m][c], x[m], b[0], b[1]);
          mma::multiply<T>(dq[m][c + 1], x[m], b[2], b[3]);
        }
      }
    }
    float* sums = room.grad_q +
                  ((static_cast<int64_t>(batch) * a.heads + head) * keys.row_blocks + i) * (S::kRows * S::kWidth) +
                  (warp * 2 * C * 32 + lane) * 4;
    T* const to = begin_of<T>(grads.q, batch, head) + (i0 + out_row + g) * grads.q.row + out_column + 2 * t;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int c = 0; c < C; ++c) {
        float(&x)[4] = dq[m][c];
        if (!add_in_turn(x, sums + (m * C + c) * 128, starts, ends)) continue;
#pragma unroll
        for (int h = 0; h < 2; ++h)
          if (i0 + out_row + m * 16 + h * 8 + g < rows && out_column + c * 8 < width)
            *reinterpret_cast<uint32_t*>(to + (m * 16 + h * 8) * grads.q.row + c * 8) =
                mma::pack<T>(x[2 * h] * call.scale, x[2 * h + 1] * call.scale);
      }
  }
  __syncthreads();
  if (threadIdx.x == 0) mma::publish(keys.progress, steps);

  T* const k_out = begin_of<T>(grads.k, batch, keys.kv_head);
  T* const v_out = begin_of<T>(grads.v, batch, keys.kv_head);
  const float v_scale = General ? call.keep_scale : 1.0f;
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int key = first_key + m * 16 + h * 8 + g;
      if (key >= columns) continue;
      T *const k_to = k_out + key * grads.k.row + 2 * t, *const v_to = v_out + key * grads.v.row + 2 * t;
#pragma unroll
      for (int w = 0; w < W; ++w) {
        if (w * 8 < width)
          *reinterpret_cast<uint32_t*>(k_to + w * 8) =
              mma::pack<T>(dk[m][w][2 * h] * call.scale, dk[m][w][2 * h + 1] * call.scale);
        if (w * 8 < value_width)
          *reinterpret_cast<uint32_t*>(v_to + w * 8) =
              mma::pack<T>(dv[m][w][2 * h] * v_scale, dv[m][w][2 * h + 1] * v_scale);
      }
    }
#endif
}

}  // namespace norch::kernels::cuda
