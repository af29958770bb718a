// The gradients of attention with Hopper's products of a warpgroup: the algorithm of attention_backward.cuh.
//
// Two warpgroups have 64 of 128 keys each. A step begins with the transposed weights and their gradients, 64 x rows, in
// registers, which are operands of the gradients of v and k where they lie. The gradients of the scores go to shared
// memory too: with those of the other warpgroup, at the next step, each makes 64 x 64 of the gradient of q while the
// weights of that step are under way. That is added to the GPU's memory from shared memory by the hardware. What the
// other warps do is in attention_backward_roles.cuh.
#pragma once

#include "kernels/cuda/attention_backward_roles.cuh"

namespace norch::kernels::cuda {

/// A step takes `rows` rows; upwards: see KeyBlock.
template <int width, int rows, bool upwards>
struct HopperShape {
  static constexpr int kWidth = width, kRows = rows, kKeys = 128, kWorkers = 256, kThreads = kWorkers + 128, kLoaders = 64;
  static constexpr bool kUpwards = upwards;
  static constexpr int kPanels = width / 64, kRowPanels = rows / 64;
  static_assert(kPanels * kRowPanels == 2, "the gradient of q of a step is 64 x 64 for each warpgroup");
  using RowPanel = Tile<rows, 64>;   // of q and of the gradient of out
  using KeyPanel = Tile<kKeys, 64>;  // of k, of v and of the gradients of scores
  static constexpr int kRowTile = kPanels * RowPanel::kBytes, kKeyTile = kPanels * KeyPanel::kBytes;
  static constexpr int kStages = 2, kStage = 2 * kRowTile, kRowValues = rows * 8;
  static constexpr int kScores = kRowPanels * KeyPanel::kBytes;  // gradients of them
  // In shared memory: the keys of this block and of the next; the values; the gradients of scores of this step and of the
  // one before; rows of q and of the gradient of out; the gradient of q; RowValues.
  static constexpr int kKeysAt = 0, kValuesAt = 2 * kKeyTile, kScoresAt = kValuesAt + kKeyTile,
                       kStagesAt = kScoresAt + 2 * kScores, kGradQAt = kStagesAt + kStages * kStage,
                       kRowValuesAt = kGradQAt + rows * width * 4, kSignalsAt = kRowValuesAt + kStages * kRowValues,
                       kShared = kSignalsAt + 128;  // Signals
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

/// Where a step's gradient of q goes: to which rows of all, whether it is the first to be added, and the last.
struct GradQ {
  int tile;
  bool starts, ends;
};

/// Adds what the others have added to a warp's part of the gradient of q of a step, 16 x 64 from `row` and `column` on for
/// the lane, and writes the result. `part` counts the warps' parts of the rows.
template <class T, class S>
__device__ __forceinline__ void write_grad_q(const AttentionCall& call, const AttentionTensor& grad,
                                             const BackwardRoom& room, const GradQ& at, int part, int row, int column,
                                             const float (&dq)[32]) {
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row_blocks = room.padded / S::kRows, heads = static_cast<int>(a.heads), matrix = at.tile / row_blocks;
  float* const sums = room.grad_q + static_cast<int64_t>(at.tile) * (S::kRows * S::kWidth) + (part * 8 * 32 + lane) * 4;
  row += at.tile % row_blocks * S::kRows;
  T* const to = begin_of<T>(grad, matrix / heads, matrix % heads) + row * grad.row + column;
#pragma unroll
  for (int c = 0; c < 8; ++c) {
    float x[4] = {dq[c * 4], dq[c * 4 + 1], dq[c * 4 + 2], dq[c * 4 + 3]};
    add_in_turn(x, sums + c * 128, at.starts, true);
#pragma unroll
    for (int h = 0; h < 2; ++h)
      if (row + h * 8 < a.rows && column + c * 8 < a.width)
        *reinterpret_cast<uint32_t*>(to + h * 8 * grad.row + c * 8) =
            mma::pack<T>(x[2 * h] * call.scale, x[2 * h + 1] * call.scale);
  }
}

/// Writes a warp's part of the gradient of k or v, its 16 keys from `key` on, times `scale`. `strip` is the warp's 16 rows
/// of shared memory.
template <class T, class S>
__device__ __forceinline__ void write_keys(const AttentionTensor& grad, const KeyBlock<S::kUpwards>& keys, int key,
                                           int columns, int width, float scale, uint32_t strip,
                                           const float (&d)[S::kWidth / 2]) {
  using Strip = Tile<16, 64>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const uint32_t store_at = strip + Strip::lane_a(lane), load_at = strip + Strip::at(lane / 8, lane % 8);
  T* const to = begin_of<T>(grad, keys.batch, keys.kv_head);
#pragma unroll
  for (int p = 0; p < S::kPanels; ++p) {
    uint32_t x[4][4];
    float scaled[32];
#pragma unroll
    for (int i = 0; i < 32; ++i) scaled[i] = d[p * 32 + i] * scale;
    hopper::pack<T>(x, scaled);
    __syncwarp();
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::store_matrices(store_at ^ (k * kTermBytes), x[k]);
    __syncwarp();
    const int column = p * 64 + lane % 8 * 8;
#pragma unroll
    for (int r = 0; r < 16; r += 4) {
      float y[4];
      mma::load_shared(y, (r % 8 == 4 ? load_at ^ 64 : load_at) + r * Strip::kRowBytes);
      const int row = key + r + lane / 8;
      if (row < columns && column < width)
        *reinterpret_cast<float4*>(to + row * grad.row + column) = make_float4(y[0], y[1], y[2], y[3]);
    }
  }
}

#endif

template <class T, class S>
__global__ void __launch_bounds__(S::kThreads, 1)
    attention_backward_sm90a_kernel(AttentionCall call, FusedAttentionGradients grads, BackwardRoom room,
                                    TicketRange range) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using RowPanel = typename S::RowPanel;
  using KeyPanel = typename S::KeyPanel;
  using Keys = KeyBlock<S::kUpwards>;
  extern __shared__ SharedBlock shared_blocks[];
  char* const shared_bytes = reinterpret_cast<char*>(shared_blocks);
  const uint32_t shared = mma::shared_address(shared_blocks);
  const Signals<S> signals{shared + S::kSignalsAt};
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const int warp = __shfl_sync(0xFFFFFFFFu, static_cast<int>(threadIdx.x) / 32, 0), group = warp / 4;
  if (threadIdx.x == 0) signals.make();
  __syncthreads();
  if (group == 2) {
    hopper::fewer_registers<40>();
    if (threadIdx.x == S::kWorkers) keep_order<S>(call, room, range, shared, signals);
    if (warp > S::kWorkers / 32 && warp <= (S::kWorkers + S::kLoaders) / 32)
      load_all<T, S>(call, grads, room, range, shared, signals, static_cast<int>(threadIdx.x) - S::kWorkers - 32);
    return;
  }
  hopper::more_registers<232>();

  const int columns = static_cast<int>(a.columns);
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);
  const uint32_t own_keys = group * 64 * KeyPanel::kRowBytes;
  const uint32_t d_lane = shared + S::kScoresAt + KeyPanel::lane_a(lane) + warp * 16 * KeyPanel::kRowBytes;
  const int row_panel = S::kRowPanels == 2 ? group : 0, panel = S::kPanels == 2 ? group : 0;
  int parity = 0, added = 0, by_hardware = 0, values_used = 0;  // of the step, and how many so far
  Stages<S> at_stage;
  bool pending = false;  // whether the gradient of q of the step before is still to be made
  GradQ target{0, false, false};
  float dk[S::kWidth / 2], dv[S::kWidth / 2], dq[32];
  const auto signal = [&](uint32_t at) {
    __syncwarp();
    if (lane == 0) hopper::arrive(at);
    __syncwarp();
  };
  // That of the step before, whose keys are in slot `slot`.
  const auto grad_q = [&](int slot) {
    multiply_rows<T, S::kKeys>(dq, shared + S::kScoresAt + (parity ^ 1) * S::kScores + row_panel * KeyPanel::kBytes,
                               shared + S::kKeysAt + slot * S::kKeyTile + panel * KeyPanel::kBytes);
    hopper::commit_products();
  };
  const auto add = [&] {
    if (target.ends) {
      hopper::wait_for_phase(signals.turn(), added - by_hardware);
      write_grad_q<T, S>(call, grads.q, room, target, warp, row_panel * 64 + warp % 4 * 16 + g, panel * 64 + 2 * t, dq);
    } else {
      if (by_hardware > 0) hopper::wait_for_phase(signals.read(), by_hardware - 1);
      const uint32_t to = shared + S::kGradQAt + (warp * 8 * 32 + lane) * 16;
#pragma unroll
      for (int c = 0; c < 8; ++c)
        hopper::store_shared(to + c * 512, dq[c * 4], dq[c * 4 + 1], dq[c * 4 + 2], dq[c * 4 + 3]);
      hopper::show_writes();
      ++by_hardware;
    }
    ++added;
    signal(signals.ready());
  };

  for (uint32_t item = 0;; ++item) {
    const int slot = item % 2;
    hopper::wait_for_phase(signals.taken(slot), item / 2);
    const int ticket = hopper::load_shared(signals.ticket(slot));
    const bool past = ticket >= range.total;
    const Keys keys = Keys::template of<S>(call, room, past ? 0 : ticket, range.side_by_side);
    if (pending && (past || keys.steps == 0)) {
      hopper::begin_products();
      grad_q(slot ^ 1);
      hopper::wait_for_products<0>();
      hopper::hold(dq);
      signal(signals.done(slot ^ 1));
      add();
      pending = false;
    }
    if (past) return;
#pragma unroll
    for (int i = 0; i < S::kWidth / 2; ++i) dk[i] = dv[i] = 0;
    const int first_key = keys.j0 + warp * 16 + g;
    const uint32_t k_tile = shared + S::kKeysAt + slot * S::kKeyTile;
    StepRows<S::kUpwards> now(keys);
    for (int step = 0; step < keys.steps; ++step) {
      const uint32_t q_tile = shared + S::kStagesAt + at_stage.stage * S::kStage, g_tile = q_tile + S::kRowTile;
      float s[S::kRows / 2], d[S::kRows / 2];
      hopper::wait_for_phase(signals.full(at_stage.stage), at_stage.round);
      hopper::begin_products();
      grad_q(step > 0 ? slot : slot ^ 1);  // not added at the first step of all
      multiply_columns<T, S::kWidth, KeyPanel, RowPanel>(s, k_tile + own_keys, q_tile);
      hopper::commit_products();
      hopper::wait_for_products<1>();
      hopper::hold(dq);
      if (pending) {
        if (step == 0) signal(signals.done(slot ^ 1));
        add();
      }
      pending = true;
      target = {(keys.batch * static_cast<int>(a.heads) + now.head) * keys.row_blocks + now.i, now.starts(keys),
                now.ends(keys)};
      if (step == 0) hopper::wait_for_phase(signals.values_full(), values_used++);
      hopper::begin_products();
      multiply_columns<T, S::kWidth, KeyPanel, RowPanel>(d, shared + S::kValuesAt + own_keys, g_tile);
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
          reinterpret_cast<const float4*>(shared_bytes + S::kRowValuesAt + at_stage.stage * S::kRowValues) + t;
#pragma unroll
      for (int n = 0; n < S::kRows / 8; ++n) {
        const float4 v = values[n * 4];
#pragma unroll
        for (int r = 0; r < 4; ++r)
          s[n * 4 + r] = mma::exp2_fast(s[n * 4 + r] * call.scale_log2 - (r % 2 ? v.z : v.x));
      }
      hopper::hold(s);  // the exponentials are made while the product is under way
      hopper::wait_for_products<0>();
      hopper::hold(d);
      if (step == keys.steps - 1) signal(signals.values_empty());
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
        hopper::store_matrices(parity * S::kScores + (d_lane ^ (k % 4 * kTermBytes)) + k / 4 * KeyPanel::kBytes, y[k]);
      hopper::begin_products();
      multiply_rows<T, RowPanel>(dk, y, q_tile);
      hopper::commit_products();
      hopper::show_writes();
      hopper::sync_threads<1, S::kWorkers>();
      hopper::wait_for_products<0>();
      hopper::hold(dk);
      hopper::hold(dv);
      signal(signals.empty(at_stage.stage));
      at_stage.advance();
      parity ^= 1;
      now.advance(keys);
    }
    if (keys.steps == 0) signal(signals.done(slot));
    // Where the next step will store: the gradients of scores there have been read.
    const uint32_t strip = shared + S::kScoresAt + parity * S::kScores + warp * 16 * KeyPanel::kRowBytes;
    const int key = keys.j0 + warp * 16;
    write_keys<T, S>(grads.k, keys, key, columns, width, call.scale, strip, dk);
    write_keys<T, S>(grads.v, keys, key, columns, value_width, 1.0f, strip, dv);
    __syncwarp();
  }
#endif
}

}  // namespace norch::kernels::cuda
