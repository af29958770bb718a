// The gradient of q of attention_backward_sm90a.cuh. A warpgroup multiplies the gradients of the scores, which the two
// that make weights leave in shared memory, by the keys, 64 x 64 at a time: what it makes while those are at the next
// step fills the gaps in their products. A thread keeps the order in which blocks add the results.
#pragma once

#include "kernels/cuda/attention_backward_roles.cuh"
#include "kernels/cuda/attention_backward_shape.cuh"

namespace norch::kernels::cuda {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// Adds what the others have added (nothing, if these keys are the `first`) to a warp's 16 x 64 of the gradient of q of
/// the block of rows `tile` of all, from `row` and `column` on for the lane, and writes the result. `part` counts the
/// warps' parts of the rows.
template <class T, class S>
__device__ __forceinline__ void write_grad_q(const AttentionCall& call, const AttentionTensor& grad,
                                             const BackwardRoom& room, int tile, bool first, int part, int row,
                                             int column, const float (&dq)[32]) {
  constexpr int kAtOnce = 4;  // loads that do not wait for stores
  const FusedAttention& a = call.a;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row_blocks = room.padded / S::kRows, heads = static_cast<int>(a.heads), matrix = tile / row_blocks;
  const float* const sums =
      room.grad_q + static_cast<int64_t>(tile) * (S::kRows * S::kWidth) + (part * 8 * 32 + lane) * 4;
  row += tile % row_blocks * S::kRows;
  T* const to = begin_of<T>(grad, matrix / heads, matrix % heads) + row * grad.row + column;
#pragma unroll
  for (int at = 0; at < 8; at += kAtOnce) {
    float4 before[kAtOnce] = {};
    if (!first)
#pragma unroll
      for (int c = 0; c < kAtOnce; ++c) before[c] = __ldcg(reinterpret_cast<const float4*>(sums + (at + c) * 128));
#pragma unroll
    for (int c = 0; c < kAtOnce; ++c) {
      const float* const x = dq + (at + c) * 4;
      const uint32_t words[2] = {mma::pack<T>((x[0] + before[c].x) * call.scale, (x[1] + before[c].y) * call.scale),
                                 mma::pack<T>((x[2] + before[c].z) * call.scale, (x[3] + before[c].w) * call.scale)};
#pragma unroll
      for (int h = 0; h < 2; ++h)
        if (row + h * 8 < a.rows && column + (at + c) * 8 < a.width)
          *reinterpret_cast<uint32_t*>(to + h * 8 * grad.row + (at + c) * 8) = words[h];
    }
  }
}

/// The part of the warpgroup that makes the gradient of q.
template <class T, class S>
__device__ __forceinline__ void make_grad_q(const AttentionCall& call, const FusedAttentionGradients& grads,
                                            const BackwardRoom& room, uint32_t shared, const Signals<S>& signals) {
  using KeyPanel = typename S::KeyPanel;
  using Keys = KeyBlock<S::kUpwards>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = same(static_cast<int>(threadIdx.x) / 32 % 4);
  int made = 0, by_hardware = 0;  // steps so far, and those of them whose result the hardware adds
  for (uint32_t item = 0;; ++item) {
    const int slot = item % 2;
    const KeyPlace place = same(signals.wait_for_place(item));
    if (place.block < 0) return;
    const Keys keys = Keys::template of<S>(call, room, place);
    StepRows<S::kUpwards> now(keys);
    for (int step = 0; step < keys.steps; ++step, ++made, now.advance(keys)) {
      const int parity = made % 2;
      const bool ends = now.ends(keys);
      hopper::wait_for_phase(signals.scores_full(parity), made / 2);
#pragma unroll 1
      for (int half = 0; half < 2; ++half) {
        const int row_panel = S::kRowPanels == 2 ? half : 0, panel = S::kPanels == 2 ? half : 0;
        const uint32_t d = shared + S::kScoresAt + parity * S::kScores + row_panel * KeyPanel::kBytes;
        const uint32_t k = shared + S::kKeysAt + slot * S::kKeyTile + panel * KeyPanel::kBytes;
        float dq[32];
        if (call.a.causal && keys.j0 + 64 > now.i * S::kRows + row_panel * 64 + 63) {  // no row sees the last 64 keys
          hopper::begin_products();
          multiply_rows<T, 64>(dq, d, k);
          hopper::commit_products();
          hopper::wait_for_products<0>();
          hopper::hold(dq);
        } else {
          hopper::begin_products();
          multiply_rows<T, S::kKeys>(dq, d, k);
          hopper::commit_products();
          hopper::wait_for_products<0>();
          hopper::hold(dq);
        }
        if (half == 1) {
          arrive_as_warp(signals.scores_empty(parity));
          if (step == keys.steps - 1) arrive_as_warp(signals.done(slot));
        }
        const int part = half * 4 + warp;
        if (ends) {
          if (half == 0) hopper::wait_for_phase(signals.turn(), made - by_hardware);
          const int tile = (keys.batch * static_cast<int>(call.a.heads) + now.head) * keys.row_blocks + now.i;
          write_grad_q<T, S>(call, grads.q, room, tile, now.starts(keys), part, row_panel * 64 + warp * 16 + lane / 4,
                             panel * 64 + lane % 4 * 2, dq);
        } else {
          if (by_hardware > 0) hopper::wait_for_phase(signals.read(half), by_hardware - 1);
          const uint32_t to = shared + S::kGradQAt + (part * 8 * 32 + lane) * 16;
#pragma unroll
          for (int c = 0; c < 8; ++c)
            hopper::store_shared(to + c * 512, dq[c * 4], dq[c * 4 + 1], dq[c * 4 + 2], dq[c * 4 + 3]);
          hopper::show_writes();
        }
        arrive_as_warp(signals.ready(half));
      }
      if (!ends) ++by_hardware;
    }
    if (keys.steps == 0) arrive_as_warp(signals.done(slot));
  }
}

/// The part of the thread that keeps the order. For every step it waits for the block's turn, has the gradient of q
/// added by the hardware, or, of the last keys, by those who made it, and lets the next block of keys add.
template <class S>
__device__ __forceinline__ void keep_order(const AttentionCall& call, const BackwardRoom& room, uint32_t shared,
                                           const Signals<S>& signals) {
  using Keys = KeyBlock<S::kUpwards>;
  constexpr int kBytes = S::kRows * S::kWidth * 2;  // of half a gradient
  int done = 0;
  for (uint32_t item = 0;; ++item) {
    const KeyPlace place = signals.wait_for_place(item);
    hopper::arrive(signals.done(item % 2));
    if (place.block < 0) return;
    const Keys keys = Keys::template of<S>(call, room, place);
    StepRows<S::kUpwards> now(keys);
    int seen = 0;  // steps that the block of keys before has done
    for (int step = 0; step < keys.steps; ++step, now.advance(keys), ++done) {
      const bool starts = now.starts(keys), ends = now.ends(keys);
      if (!starts)
        while (seen < now.needed(keys)) seen = mma::observe(keys.before);
      if (ends)
        hopper::arrive(signals.turn());
      else
        hopper::join_proxies();  // the hardware adds after what this thread has seen to be done
      const int64_t tile = (static_cast<int64_t>(keys.batch) * call.a.heads + now.head) * keys.row_blocks + now.i;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        hopper::wait_for_phase(signals.ready(half), done);
        if (ends) continue;
        float* const to = room.grad_q + tile * (S::kRows * S::kWidth) + half * (kBytes / 4);
        if (starts)
          hopper::store_in_memory(to, shared + S::kGradQAt + half * kBytes, kBytes);
        else
          hopper::add_in_memory(to, shared + S::kGradQAt + half * kBytes, kBytes);
        hopper::commit_stores();
      }
      if (!ends) {
        hopper::wait_for_reads<1>();
        hopper::arrive(signals.read(0));
        hopper::wait_for_reads<0>();
        hopper::arrive(signals.read(1));
        hopper::wait_for_stores<0>();
      }
      mma::publish(keys.progress, step + 1);
    }
  }
}

#endif

}  // namespace norch::kernels::cuda
