// The gradients of attention. A block of threads takes a block of keys past the rows of q, which stream through shared
// memory, makes the weights again from the logarithms of their sums, and keeps the gradients of its keys and values in
// registers. A warp has keys of its own and all the rows: the transposed weights and their gradients are the operands of
// the next products where they lie.
//
// Every block of keys adds to the gradient of q, in a fixed order: the last block of keys first. The block of threads
// that takes block j of the keys waits until that of block j + 1 is done with the same rows, which it began with earlier:
// blocks of threads take their work in the order in which they start.
#pragma once

#include "core/factory.h"
#include "kernels/cuda/attention_tiles.cuh"

namespace norch::kernels::cuda {

/// A warp takes 16 * tiles keys, and a step `rows` rows.
template <int width, int tiles, int rows, int warps, int blocks>
struct BackwardShape {
  static constexpr int kWidth = width, kTiles = tiles, kRows = rows, kWarps = warps, kThreads = warps * 32;
  static constexpr int kBlocks = blocks;
  static constexpr int kKeys = 16 * tiles * warps;
  /// Of the gradient of q, rows x width, a warp makes kOutRows x kOutColumns.
  static constexpr int kOutRows = 32, kOutColumns = rows * width / warps / kOutRows;
  static_assert(rows % kOutRows == 0 && kOutColumns % 16 == 0 && 256 / (width / 8) <= kOutRows);
  using Q = Tile<rows, width>;
  using K = Tile<kKeys, width>;
  using D = Tile<kKeys, rows>;  // transposed gradients of scores
  static constexpr int kRowBytes = rows * 8;  // of RowValues
  static constexpr int kStage = 2 * Q::kBytes + kRowBytes;
  static constexpr int kShared = 2 * K::kBytes + D::kBytes + 2 * kStage + 16;
};

/// Of a row: log2 of the sum of its exponentials, and its gradient times its result. Beyond the last row, inf and 0.
struct RowValues {
  float log2_sum, delta;
};

/// What the blocks share, in one allocation: RowValues (batch, heads, rows filled up), the float32 gradients of q, as
/// fragments, and how far each block of threads has come.
struct BackwardRoom {
  RowValues* values;
  float* grad_q;
  int* taken;  // how many blocks have started; then (batch, kv_heads, blocks of keys): steps done
  int padded;  // rows, filled up
};

template <class T, int width>
__global__ void __launch_bounds__(256) attention_values_kernel(FusedAttention a, AttentionTensor grad, BackwardRoom room,
                                                               int64_t counters) {
  constexpr int kLanes = width / 8, kRows = 256 / kLanes;  // lanes to a row, rows to a block
  constexpr float kUnit = std::is_same_v<T, float> ? 1 : kLog2e;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  for (int64_t i = thread; i < counters; i += static_cast<int64_t>(gridDim.x) * 256) room.taken[i] = 0;
  const int blocks = room.padded / kRows, heads = static_cast<int>(a.heads);  // blocks to a matrix
  const int matrix = static_cast<int>(blockIdx.x) / blocks, batch = matrix / heads, head = matrix % heads;
  const int row = static_cast<int>(blockIdx.x) % blocks * kRows + static_cast<int>(threadIdx.x) / kLanes;
  const int chunk = static_cast<int>(threadIdx.x) % kLanes;
  const bool inside = row < a.rows;
  float delta = 0;
  if (inside && chunk * 8 < a.value_width) {
    constexpr int kWords = static_cast<int>(sizeof(T)) / 2;
    uint4 x[kWords], y[kWords];
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      x[i] = reinterpret_cast<const uint4*>(begin_of<const T>(a.out, batch, head) + row * a.out.row + chunk * 8)[i];
      y[i] = reinterpret_cast<const uint4*>(begin_of<const T>(grad, batch, head) + row * grad.row + chunk * 8)[i];
    }
    const T *p = reinterpret_cast<const T*>(x), *q = reinterpret_cast<const T*>(y);
#pragma unroll
    for (int i = 0; i < 8; ++i) delta += static_cast<float>(p[i]) * static_cast<float>(q[i]);
  }
#pragma unroll
  for (int by = kLanes / 2; by > 0; by /= 2) delta += __shfl_xor_sync(0xFFFFFFFFu, delta, by);
  if (chunk == 0)
    room.values[static_cast<int64_t>(matrix) * room.padded + row] =
        inside ? RowValues{a.log_sums[matrix * a.rows + row] * kUnit, delta} : RowValues{kInfinity, 0.0f};
}

template <class T, class S, bool General>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_backward_kernel(AttentionCall call, FusedAttentionGradients grads, BackwardRoom room) {
#if __CUDA_ARCH__ >= 800
  constexpr int M = S::kTiles, N = S::kRows / 8, W = S::kWidth / 8, kPublish = 128 / S::kRows;
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

  const int key_blocks = (columns + S::kKeys - 1) / S::kKeys, row_blocks = room.padded / S::kRows;
  const int place = ticket, block = key_blocks - 1 - place % key_blocks, matrix = place / key_blocks;
  const int kv_heads = static_cast<int>(a.kv_heads), kv_head = matrix % kv_heads, batch = matrix / kv_heads;
  const int j0 = block * S::kKeys, first_key = j0 + warp * 16 * M;
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);
  // The first block of rows that sees keys of a block.
  const auto first_of = [&](int b) { return a.causal ? min(row_blocks, b * S::kKeys / S::kRows) : 0; };
  const int first = first_of(block), next_first = block + 1 < key_blocks ? first_of(block + 1) : row_blocks;
  const int first_head = kv_head * call.group, steps = (row_blocks - first) * call.group;
  int* const progress = room.taken + 1 + matrix * key_blocks + block;

  const uint32_t k_tile = mma::shared_address(shared), v_tile = k_tile + K::kBytes, d_tile = v_tile + K::kBytes;
  const uint32_t stages = d_tile + D::kBytes;
  // The block of rows of a step: every one that sees these keys, of one head after the other.
  struct Place {
    int head, i;
    __device__ __forceinline__ void advance(int first, int end) {
      if (++i == end) {
        i = first;
        ++head;
      }
    }
  };
  const T *const q_from = begin_of<const T>(a.q, batch, 0), *const g_from = begin_of<const T>(grads.out, batch, 0);
  const RowValues* const values_from = room.values + static_cast<int64_t>(batch) * a.heads * room.padded;
  const auto load_step = [&](int step, const Place& at) {
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
  Place now{first_head, first}, next = now;
  const T *const k_from = begin_of<const T>(a.k, batch, kv_head), *const v_from = begin_of<const T>(a.v, batch, kv_head);
  K::template load<S::kThreads>(k_tile, k_from + j0 * a.k.row, a.k.row, columns - j0, width);
  K::template load<S::kThreads>(v_tile, v_from + j0 * a.v.row, a.v.row, columns - j0, value_width);
  if (steps > 0) load_step(0, now);

  const uint32_t k_lane = k_tile + K::lane_a(lane) + warp * 16 * M * K::kRowBytes;
  const uint32_t d_lane = d_tile + D::at(warp * 16 * M + g, 0) + t * 4;  // where its gradients of scores go
  float dk[M][W][4] = {}, dv[M][W][4] = {};
  int seen = 0;  // steps that the block of the next keys has done

  for (int step = 0; step < steps; ++step, now.advance(first, row_blocks)) {
    mma::wait_for_copies<0>();
    __syncthreads();
    if (threadIdx.x == 0 && step > 0 && step % kPublish == 0) mma::publish(progress, step);
    if (step + 1 < steps) {
      next.advance(first, row_blocks);
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
      const auto row_of = [&](int n, int r) { return i0 + n * 8 + 2 * t + r % 2; };
      const auto key_of = [&](int m, int r) { return first_key + m * 16 + g + (r / 2) * 8; };
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
              const int row = row_of(n, r), key = key_of(m, r);
              if (General) s[m][n][r] = veil.masked(s[m][n][r] * call.scale_log2, row, key);
              if (key >= columns || (a.causal && key > row)) s[m][n][r] = -kInfinity;
            }
      }
#pragma unroll
      for (int n = 0; n < N; ++n) {
        const RowValues of_row[2] = {values[n * 8], values[n * 8 + 1]};
#pragma unroll
        for (int m = 0; m < M; ++m) {
          const bool drops = General && veil.drops();
          bool keep[4];
          if (drops) veil.keeps_transposed(keep, row_of(n, 0), key_of(m, 0));
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            const float p = mma::exp2_fast(s[m][n][r] * unit - of_row[r % 2].log2_sum);
            const float y = !drops ? d[m][n][r] : keep[r] ? d[m][n][r] * call.keep_scale : 0.0f;
            d[m][n][r] = p * (y - of_row[r % 2].delta);
            s[m][n][r] = drops && !keep[r] ? 0.0f : p;
          }
        }
      }

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

    const bool starts = i < next_first;  // the first to add to these rows
    if (threadIdx.x == 0 && !starts) {
      const int needed = (head - first_head) * (row_blocks - next_first) + (i - next_first) + 1;
      while (seen < needed) seen = mma::observe(progress + 1);
    }
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
                  ((static_cast<int64_t>(batch) * a.heads + head) * row_blocks + i) * (S::kRows * S::kWidth) +
                  (warp * 2 * C * 32 + lane) * 4;
    T* const to = begin_of<T>(grads.q, batch, head) + (i0 + out_row + g) * grads.q.row + out_column + 2 * t;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int c = 0; c < C; ++c) {
        float(&x)[4] = dq[m][c];
        float4* const at = reinterpret_cast<float4*>(sums + (m * C + c) * 128);
        if (block > 0) {
          if (starts)
            __stcg(at, make_float4(x[0], x[1], x[2], x[3]));
          else
            mma::add_in_memory(reinterpret_cast<float*>(at), x);
          continue;
        }
        if (!starts) {
          const float4 before = __ldcg(at);
          x[0] += before.x;
          x[1] += before.y;
          x[2] += before.z;
          x[3] += before.w;
        }
#pragma unroll
        for (int h = 0; h < 2; ++h)
          if (i0 + out_row + m * 16 + h * 8 + g < rows && out_column + c * 8 < width)
            *reinterpret_cast<uint32_t*>(to + (m * 16 + h * 8) * grads.q.row + c * 8) =
                mma::pack<T>(x[2 * h] * call.scale, x[2 * h + 1] * call.scale);
      }
  }
  __syncthreads();
  if (threadIdx.x == 0) mma::publish(progress, steps);

  T* const k_out = begin_of<T>(grads.k, batch, kv_head);
  T* const v_out = begin_of<T>(grads.v, batch, kv_head);
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

/// The room of a call and how many blocks of threads it takes.
struct BackwardWork {
  Tensor memory;
  BackwardRoom room;
  int64_t all_rows, blocks;

  BackwardWork(const FusedAttention& a, int64_t rows, int64_t keys, int64_t width) {
    const int64_t row_blocks = (a.rows + rows - 1) / rows, key_blocks = (a.columns + keys - 1) / keys;
    const int64_t padded = row_blocks * rows;
    all_rows = a.batch * a.heads * padded;
    blocks = a.batch * a.kv_heads * key_blocks;
    const int64_t sums = key_blocks > 1 ? all_rows * width : 0;
    const Device device(DeviceType::CUDA, static_cast<int8_t>(norch::cuda::current_device()));
    memory = new_tensor({all_rows * 2 + sums + blocks + 1}, DType::Float32, device);
    room.values = static_cast<RowValues*>(memory.data_ptr());
    room.grad_q = reinterpret_cast<float*>(room.values + all_rows);
    room.taken = reinterpret_cast<int*>(room.grad_q + sums);
    room.padded = static_cast<int>(padded);
  }
};

template <class T, int width>
void launch_attention_values(const FusedAttention& a, const AttentionTensor& grad, const BackwardWork& work) {
  launch(attention_values_kernel<T, width>, blocks_for(work.all_rows, 256 / (width / 8)), 256, 0, a, grad, work.room,
         work.blocks + 1);
}

template <class T, class S, bool General>
void launch_attention_backward(const FusedAttention& a, const FusedAttentionGradients& grads) {
  const BackwardWork work(a, S::kRows, S::kKeys, S::kWidth);
  launch_attention_values<T, S::kWidth>(a, grads.out, work);
  launch(attention_backward_kernel<T, S, General>, blocks_for(work.blocks, 1), S::kThreads, S::kShared, AttentionCall(a),
         grads, work.room);
}

}  // namespace norch::kernels::cuda
