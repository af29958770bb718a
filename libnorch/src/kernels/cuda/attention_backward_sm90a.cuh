// The gradients of attention with Hopper's products of a warpgroup: the algorithm of attention_backward.cuh.
//
// Two warpgroups have 64 of 128 keys each. A step begins with the transposed weights and their gradients, 64 x rows, in
// registers, which are operands of the gradients of v and k where they lie. The gradients of the scores go to shared
// memory too: with those of the other warpgroup, at the next step, each makes 64 x 64 of the gradient of q while the
// weights of that step are under way. One thread of a third warpgroup waits for the block's turn to add and says when it
// has added, both of which take as long as the way to the GPU's memory and back.
#pragma once

#include "kernels/cuda/attention_backward_work.cuh"
#include "kernels/cuda/hopper.cuh"

namespace norch::kernels::cuda {

/// A step takes `rows` rows.
template <int width, int rows>
struct HopperShape {
  static constexpr int kWidth = width, kRows = rows, kKeys = 128, kWorkers = 256, kThreads = kWorkers + 128;
  static constexpr int kPanels = width / 64, kRowPanels = rows / 64;
  static_assert(kPanels * kRowPanels == 2, "the gradient of q of a step is 64 x 64 for each warpgroup");
  using RowPanel = Tile<rows, 64>;   // of q and of the gradient of out
  using KeyPanel = Tile<kKeys, 64>;  // of k, of v and of the gradients of scores
  static constexpr int kRowTile = kPanels * RowPanel::kBytes, kKeyTile = kPanels * KeyPanel::kBytes;
  static constexpr int kStages = 3, kStage = 2 * kRowTile, kValues = rows * 8;  // the last: RowValues
  static constexpr int kScores = kRowPanels * KeyPanel::kBytes;                 // gradients of them, for which there are two
  static constexpr int kShared = 2 * kKeyTile + 2 * kScores + kStages * (kStage + kValues) + 32;
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

inline constexpr int kTerms = 16, kTermBytes = kTerms * 2, kTermRows = kTerms * 128;  // of one product: columns, or rows

/// c = x y^T, of `width` columns in panels of X and Y.
template <class T, int width, class X, class Y, int count>
__device__ __forceinline__ void multiply_columns(float (&c)[count], uint32_t x, uint32_t y) {
#pragma unroll
  for (int w = 0; w < width / kTerms; ++w)
    hopper::multiply<T, false, false>(c, hopper::operand(x + w / 4 * X::kBytes + w % 4 * kTermBytes),
                                      hopper::operand(y + w / 4 * Y::kBytes + w % 4 * kTermBytes), w > 0);
}

/// c = x^T y, of `rows` rows of one panel each.
template <class T, int rows>
__device__ __forceinline__ void multiply_rows(float (&c)[32], uint32_t x, uint32_t y) {
#pragma unroll
  for (int k = 0; k < rows / kTerms; ++k)
    hopper::multiply<T, true, true>(c, hopper::operand(x + k * kTermRows), hopper::operand(y + k * kTermRows), k > 0);
}

/// c += a y, of the rows of panels of Y.
template <class T, class Y, int terms, int count>
__device__ __forceinline__ void multiply_rows(float (&c)[count], const uint32_t (&a)[terms][4], uint32_t y) {
#pragma unroll
  for (int k = 0; k < terms; ++k) hopper::multiply<T, true>(c, a[k], hopper::operand(y + k * kTermRows, Y::kBytes));
}

/// For every step: begins a phase of `turn` when the block may add to the gradient of q, and when a phase of `added` has
/// ended, lets the block of the keys before do so.
__device__ __forceinline__ void keep_order(const KeyBlock& keys, uint32_t turn, uint32_t added) {
  StepRows now(keys);
  int seen = 0;  // steps that the block of the next keys has done
  for (int step = 0; step < keys.steps; ++step, now.advance(keys)) {
    if (!now.starts(keys))
      while (seen < now.needed(keys)) seen = mma::observe(keys.progress + 1);
    hopper::arrive(turn);
    hopper::wait_for_phase(added, step);
    mma::publish(keys.progress, step + 1);
  }
}

/// Adds a warp's part of the gradient of q of a step, 16 x 64 from `row` and `column` on for the lane, or writes what this
/// makes of it where no other block will add. `part` counts the warps' parts of the rows.
template <class T, class S>
__device__ __forceinline__ void add_grad_q(const AttentionCall& call, const AttentionTensor& grad, const BackwardRoom& room,
                                           const KeyBlock& keys, const StepRows& at, int part, int row, int column,
                                           const float (&dq)[32]) {
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t tile = (static_cast<int64_t>(keys.batch) * a.heads + at.head) * keys.row_blocks + at.i;
  float* const sums = room.grad_q + tile * (S::kRows * S::kWidth) + (part * 8 * 32 + lane) * 4;
  const bool starts = at.starts(keys);
  if (keys.block > 0) {
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      const float x[4] = {dq[c * 4], dq[c * 4 + 1], dq[c * 4 + 2], dq[c * 4 + 3]};
      if (starts)
        __stcg(reinterpret_cast<float4*>(sums + c * 128), make_float4(x[0], x[1], x[2], x[3]));
      else
        mma::add_in_memory(sums + c * 128, x);
    }
    return;
  }
  T* const to = begin_of<T>(grad, keys.batch, at.head) + row * grad.row + column;
#pragma unroll
  for (int c = 0; c < 8; ++c) {
    float x[4] = {dq[c * 4], dq[c * 4 + 1], dq[c * 4 + 2], dq[c * 4 + 3]};
    if (!starts) {
      const float4 before = __ldcg(reinterpret_cast<float4*>(sums + c * 128));
      x[0] += before.x;
      x[1] += before.y;
      x[2] += before.z;
      x[3] += before.w;
    }
#pragma unroll
    for (int h = 0; h < 2; ++h)
      if (row + h * 8 < a.rows && column + c * 8 < a.width)
        *reinterpret_cast<uint32_t*>(to + h * 8 * grad.row + c * 8) =
            mma::pack<T>(x[2 * h] * call.scale, x[2 * h + 1] * call.scale);
  }
}

#endif

template <class T, class S>
__global__ void __launch_bounds__(S::kThreads, 1)
    attention_backward_sm90a_kernel(AttentionCall call, FusedAttentionGradients grads, BackwardRoom room) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using RowPanel = typename S::RowPanel;
  using KeyPanel = typename S::KeyPanel;
  extern __shared__ SharedBlock shared[];
  char* const shared_bytes = reinterpret_cast<char*>(shared);
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  // One number for the whole warp, as the compiler sees.
  const int warp = __shfl_sync(0xFFFFFFFFu, static_cast<int>(threadIdx.x) / 32, 0), group = warp / 4;
  int& ticket = *reinterpret_cast<int*>(shared_bytes + S::kShared - 16);
  const uint32_t turn = mma::shared_address(shared_bytes + S::kShared - 32), added = turn + 8;
  if (threadIdx.x == 0) {
    ticket = atomicAdd(room.taken, 1);
    hopper::make_barrier(turn, 1);
    hopper::make_barrier(added, S::kWorkers / 32);
  }
  __syncthreads();
  const KeyBlock keys = KeyBlock::of<S>(call, room, ticket);
  if (group == 2) {
    hopper::fewer_registers<24>();
    if (threadIdx.x == S::kWorkers) keep_order(keys, turn, added);
    return;
  }
  hopper::more_registers<240>();

  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns), batch = keys.batch, steps = keys.steps;
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);
  const uint32_t k_tile = mma::shared_address(shared), v_tile = k_tile + S::kKeyTile, d_tiles = v_tile + S::kKeyTile;
  const uint32_t stages = d_tiles + 2 * S::kScores, values_tiles = stages + S::kStages * S::kStage;
  const auto next_stage = [](int stage) { return stage == S::kStages - 1 ? 0 : stage + 1; };
  const T *const q_from = begin_of<const T>(a.q, batch, 0), *const g_from = begin_of<const T>(grads.out, batch, 0);
  const RowValues* const values_from = room.values + static_cast<int64_t>(batch) * a.heads * room.padded;
  StepRows load_at(keys);
  int load_stage = 0, loaded = 0;
  const auto load_step = [&] {  // the next one, if any
    if (loaded < steps) {
      const int head = load_at.head, i0 = load_at.i * S::kRows;
      const uint32_t to = stages + load_stage * S::kStage;
#pragma unroll
      for (int p = 0; p < S::kPanels; ++p) {
        RowPanel::template load<S::kWorkers>(to + p * RowPanel::kBytes, q_from + head * a.q.head + i0 * a.q.row + p * 64,
                                             a.q.row, rows - i0, width - p * 64);
        RowPanel::template load<S::kWorkers>(to + S::kRowTile + p * RowPanel::kBytes,
                                             g_from + head * grads.out.head + i0 * grads.out.row + p * 64,
                                             grads.out.row, rows - i0, value_width - p * 64);
      }
      if (threadIdx.x < S::kValues / 16)
        mma::copy_async(values_tiles + load_stage * S::kValues + threadIdx.x * 16,
                        values_from + static_cast<int64_t>(head) * room.padded + i0 + threadIdx.x * 2, true);
      ++loaded;
      load_stage = next_stage(load_stage);
      load_at.advance(keys);
    }
    mma::commit_copies();
  };
  const T *const k_from = begin_of<const T>(a.k, batch, keys.kv_head) + keys.j0 * a.k.row,
          *const v_from = begin_of<const T>(a.v, batch, keys.kv_head) + keys.j0 * a.v.row;
#pragma unroll
  for (int p = 0; p < S::kPanels; ++p) {
    KeyPanel::template load<S::kWorkers>(k_tile + p * KeyPanel::kBytes, k_from + p * 64, a.k.row, columns - keys.j0,
                                         width - p * 64);
    KeyPanel::template load<S::kWorkers>(v_tile + p * KeyPanel::kBytes, v_from + p * 64, a.v.row, columns - keys.j0,
                                         value_width - p * 64);
  }
  load_step();
  load_step();

  const int first_key = keys.j0 + warp * 16 + g;
  const uint32_t own_keys = group * 64 * KeyPanel::kRowBytes;
  const uint32_t d_lane = d_tiles + KeyPanel::lane_a(lane) + warp * 16 * KeyPanel::kRowBytes;  // where a lane's row is stored
  // The 64 x 64 of the gradient of q that the warpgroup makes.
  const int row_panel = S::kRowPanels == 2 ? group : 0, panel = S::kPanels == 2 ? group : 0;
  const auto grad_q = [&](float(&dq)[32], int step) {
    multiply_rows<T, S::kKeys>(dq, d_tiles + (step & 1) * S::kScores + row_panel * KeyPanel::kBytes,
                               k_tile + panel * KeyPanel::kBytes);
    hopper::commit_products();
  };
  const auto add = [&](const float(&dq)[32], int step, const StepRows& at) {
    hopper::wait_for_phase(turn, step);
    add_grad_q<T, S>(call, grads.q, room, keys, at, warp, at.i * S::kRows + row_panel * 64 + warp % 4 * 16 + g,
                     panel * 64 + 2 * t, dq);
    __syncwarp();
    if (lane == 0) hopper::arrive(added);
    __syncwarp();
  };
  float dk[S::kWidth / 2] = {}, dv[S::kWidth / 2] = {}, dq[32];
  StepRows now(keys), before = now;
  int stage = 0;
  mma::wait_for_copies<1>();
  hopper::show_writes();
  hopper::sync_threads<1, S::kWorkers>();

  for (int step = 0; step < steps; ++step) {
    const uint32_t q_tile = stages + stage * S::kStage, g_tile = q_tile + S::kRowTile;
    float s[S::kRows / 2], d[S::kRows / 2];
    hopper::begin_products();
    grad_q(dq, step - 1);  // at the first step of anything, and not added
    multiply_columns<T, S::kWidth, KeyPanel, RowPanel>(s, k_tile + own_keys, q_tile);
    hopper::commit_products();
    hopper::wait_for_products<1>();
    hopper::hold(dq);
    if (step > 0) add(dq, step - 1, before);
    hopper::begin_products();
    multiply_columns<T, S::kWidth, KeyPanel, RowPanel>(d, v_tile + own_keys, g_tile);
    hopper::commit_products();
    hopper::wait_for_products<1>();
    hopper::hold(s);

    // s becomes the weights and d the gradients of the scores.
    const int i0 = now.i * S::kRows;
    if (keys.j0 + S::kKeys > columns || (a.causal && keys.j0 + S::kKeys - 1 > i0)) {
#pragma unroll
      for (int n = 0; n < S::kRows / 8; ++n)
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          const int row = i0 + n * 8 + 2 * t + r % 2, key = first_key + r / 2 * 8;
          if (key >= columns || (a.causal && key > row)) s[n * 4 + r] = -kInfinity;
        }
    }
    // Each two RowValues: those of rows 2t and 2t + 1 of eight.
    const float4* const values =
        reinterpret_cast<const float4*>(shared_bytes + (values_tiles - k_tile) + stage * S::kValues) + t;
#pragma unroll
    for (int n = 0; n < S::kRows / 8; ++n) {
      const float4 v = values[n * 4];
#pragma unroll
      for (int r = 0; r < 4; ++r)
        s[n * 4 + r] = mma::exp2_fast(s[n * 4 + r] * call.scale_log2 - (r % 2 ? v.z : v.x));
    }
    hopper::wait_for_products<0>();
    hopper::hold(d);
#pragma unroll
    for (int n = 0; n < S::kRows / 8; ++n) {
      const float4 v = values[n * 4];
#pragma unroll
      for (int r = 0; r < 4; ++r) d[n * 4 + r] = s[n * 4 + r] * (d[n * 4 + r] - (r % 2 ? v.w : v.y));
    }
    uint32_t p[S::kRows / kTerms][4], y[S::kRows / kTerms][4];
    hopper::pack<T>(y, d);
    hopper::pack<T>(p, s);
    hopper::begin_products();
    multiply_rows<T, RowPanel>(dv, p, g_tile);
    hopper::commit_products();
#pragma unroll
    for (int k = 0; k < S::kRows / kTerms; ++k)
      hopper::store_matrices((step & 1) * S::kScores + (d_lane ^ (k % 4 * kTermBytes)) + k / 4 * KeyPanel::kBytes, y[k]);
    hopper::begin_products();
    multiply_rows<T, RowPanel>(dk, y, q_tile);
    hopper::commit_products();
    mma::wait_for_copies<0>();
    hopper::show_writes();
    hopper::sync_threads<1, S::kWorkers>();
    load_step();  // over the step before, with which every warp is done
    hopper::wait_for_products<0>();
    hopper::hold(dk);
    hopper::hold(dv);
    stage = next_stage(stage);
    before = now;
    now.advance(keys);
  }
  if (steps > 0) {
    hopper::begin_products();
    grad_q(dq, steps - 1);
    hopper::wait_for_products<0>();
    hopper::hold(dq);
    add(dq, steps - 1, before);
  }

  T* const k_out = begin_of<T>(grads.k, batch, keys.kv_head) + 2 * t;
  T* const v_out = begin_of<T>(grads.v, batch, keys.kv_head) + 2 * t;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int key = first_key + h * 8;
    if (key >= columns) continue;
#pragma unroll
    for (int w = 0; w < S::kWidth / 8; ++w) {
      if (w * 8 < width)
        *reinterpret_cast<uint32_t*>(k_out + key * grads.k.row + w * 8) =
            mma::pack<T>(dk[w * 4 + 2 * h] * call.scale, dk[w * 4 + 2 * h + 1] * call.scale);
      if (w * 8 < value_width)
        *reinterpret_cast<uint32_t*>(v_out + key * grads.v.row + w * 8) =
            mma::pack<T>(dv[w * 4 + 2 * h], dv[w * 4 + 2 * h + 1]);
    }
  }
#endif
}

}  // namespace norch::kernels::cuda
