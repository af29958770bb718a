// How the warps of attention_backward_sm90a.cuh tell each other, by barriers in shared memory, what is there and what is
// no longer needed, and the part of those that load.
//
// One lane arrives for its warp, after __syncwarp: what the others read or wrote before comes before its arrival, and so
// before what those do who have waited for the phase. (compute-sanitizer's racecheck follows the arriving lane alone: it
// reports that the copies of RowValues meet the other lanes' reads of the ones before.) What a thread writes for the
// tensor cores or for copies out of shared memory, it shows with show_writes before that.
//
// A block of threads stays and takes one ticket after the other, that of the next block of keys while the last step of the
// one before is under way: who holds a ticket waits for lower ones alone, and the lowest is being worked at.
#pragma once

#include "kernels/cuda/attention_backward_work.cuh"
#include "kernels/cuda/hopper.cuh"

namespace norch::kernels::cuda {

/// What a call's blocks of threads take.
struct TicketRange {
  int total, side_by_side;
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// Of a block of threads, the barriers and two places, in turn those of its blocks of keys.
template <class S>
struct Signals {
  static constexpr int kBytes = 256, kStagesAt = 64, kScoresAt = kStagesAt + S::kStages * 16;
  uint32_t at;

  __device__ __forceinline__ uint32_t place(int slot) const { return at + kBytes - 32 + slot * 16; }
  /// The place is there; those who need it are done with it and with the keys.
  __device__ __forceinline__ uint32_t taken(int slot) const { return at + slot * 8; }
  __device__ __forceinline__ uint32_t done(int slot) const { return at + 16 + slot * 8; }
  /// The values are there, or no longer needed; so the rows of a step, and the gradients of its scores.
  __device__ __forceinline__ uint32_t values_full(int tile) const { return at + 32 + tile * 8; }
  __device__ __forceinline__ uint32_t values_empty(int tile) const { return at + 48 + tile * 8; }
  __device__ __forceinline__ uint32_t full(int stage) const { return at + kStagesAt + stage * 8; }
  __device__ __forceinline__ uint32_t empty(int stage) const { return at + kStagesAt + (S::kStages + stage) * 8; }
  __device__ __forceinline__ uint32_t scores_full(int parity) const { return at + kScoresAt + parity * 8; }
  __device__ __forceinline__ uint32_t scores_empty(int parity) const { return at + kScoresAt + 16 + parity * 8; }
  /// Of half a gradient of q: it lies in shared memory (or has been added), that is free again; it is the block's turn.
  __device__ __forceinline__ uint32_t ready(int half) const { return at + kScoresAt + 32 + half * 8; }
  __device__ __forceinline__ uint32_t read(int half) const { return at + kScoresAt + 48 + half * 8; }
  __device__ __forceinline__ uint32_t turn() const { return at + kScoresAt + 64; }
  static_assert(kScoresAt + 72 <= kBytes - 32);

  __device__ __forceinline__ void make() const {
    constexpr int kWarps = S::kWorkers / 32, kGradQWarps = 4;
    for (int i = 0; i < 2; ++i) {
      hopper::make_barrier(taken(i), 1);
      hopper::make_barrier(done(i), kWarps + kGradQWarps + 1);
      hopper::make_barrier(scores_full(i), kWarps);
      hopper::make_barrier(scores_empty(i), kGradQWarps);
      hopper::make_barrier(ready(i), kGradQWarps);
      hopper::make_barrier(read(i), 1);
    }
    for (int i = 0; i < S::kValueTiles; ++i) {
      hopper::make_barrier(values_full(i), S::kLoaders);
      hopper::make_barrier(values_empty(i), kWarps);
    }
    for (int i = 0; i < S::kStages; ++i) {
      hopper::make_barrier(full(i), S::kLoaders);
      hopper::make_barrier(empty(i), kWarps);
    }
    hopper::make_barrier(turn(), 1);
  }

  /// The place of the block of keys number `item` of these threads, and that once it is there.
  __device__ __forceinline__ KeyPlace place_of(uint32_t item) const {
    const int4 p = hopper::load_shared(place(item % 2));
    return {p.x, p.y, p.z};
  }
  __device__ __forceinline__ KeyPlace wait_for_place(uint32_t item) const {
    hopper::wait_for_phase(taken(item % 2), item / 2);
    return place_of(item);
  }
};

/// What all lanes of a warp have: the compiler then knows that they go the same way.
__device__ __forceinline__ int same(int x) { return __shfl_sync(0xFFFFFFFFu, x, 0); }
__device__ __forceinline__ KeyPlace same(const KeyPlace& p) { return {same(p.block), same(p.batch), same(p.kv_head)}; }

/// A warp's arrival, after what its lanes did before.
__device__ __forceinline__ void arrive_as_warp(uint32_t at) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) hopper::arrive(at);
  __syncwarp();
}

/// One after the other.
template <class S>
struct Stages {
  int stage = 0, round = 0;
  __device__ __forceinline__ void advance() {
    if (++stage == S::kStages) {
      stage = 0;
      ++round;
    }
  }
};

/// Starts copies of a panel's rows, as Tile::load, by the loaders.
template <class Panel, class S, class T>
__device__ __forceinline__ void load_panel(int thread, uint32_t to, const T* from, int64_t stride, int valid, int columns) {
  constexpr int kPass = S::kLoaders / 8;
  static_assert(kPass == 8, "chunks are swapped alike in the rows of a thread");
  const int chunk = thread % 8, first = thread / 8;
  const bool inside = chunk * 8 < columns;
  const char *const none = reinterpret_cast<const char*>(from), *source = none + (first * stride + chunk * 8) * sizeof(T);
  to += Panel::at(first, chunk);
  valid -= first;
#pragma unroll 4
  for (int r = 0; r < Panel::kRows; r += kPass) {
    const bool here = inside && r < valid;
    mma::copy_async(to, here ? source : none, here);
    source += stride * (kPass * sizeof(T));
    to += kPass * Panel::kRowBytes;
  }
}

/// Waits for the copies that this thread began, and says so.
__device__ __forceinline__ void finish_copies(uint32_t signal) {
  mma::commit_copies();
  mma::wait_for_copies<0>();
  hopper::show_writes();
  hopper::arrive(signal);
}

/// The loaders' part; `thread` is one of S::kLoaders.
template <class T, class S>
__device__ __forceinline__ void load_all(const AttentionCall& call, const FusedAttentionGradients& grads,
                                         const BackwardRoom& room, const TicketRange& range, uint32_t shared,
                                         const Signals<S>& signals, int thread) {
  using RowPanel = typename S::RowPanel;
  using KeyPanel = typename S::KeyPanel;
  using Keys = KeyBlock<S::kUpwards>;
  const FusedAttention& a = call.a;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns);
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);
  Stages<S> at_stage;
  int values_loaded = 0, next = 0;
  if (thread == 0) next = atomicAdd(room.taken, 1);
  for (uint32_t item = 0;; ++item) {
    const int slot = item % 2;
    if (thread == 0) {
      KeyPlace p{-1, 0, 0};
      if (next < range.total) p = Keys::template place<S>(call, next, range.side_by_side);
      if (item >= 2) hopper::wait_for_phase(signals.done(slot), item / 2 - 1);
      const uint32_t words[4] = {static_cast<uint32_t>(p.block), static_cast<uint32_t>(p.batch),
                                 static_cast<uint32_t>(p.kv_head), 0};
      mma::store_shared(signals.place(slot), words);
      hopper::arrive(signals.taken(slot));
    }
    const KeyPlace place = signals.wait_for_place(item);
    hopper::sync_threads<S::kLoaders>(1);
    if (place.block < 0) return;
    const Keys keys = Keys::template of<S>(call, room, place);
    if (keys.steps == 0 && thread == 0) next = atomicAdd(room.taken, 1);
    StepRows<S::kUpwards> at(keys);
    for (int step = 0; step < keys.steps; ++step, at.advance(keys)) {
      if (at_stage.round > 0) hopper::wait_for_phase(signals.empty(at_stage.stage), at_stage.round - 1);
      if (step == 0) {
        const T* const from = begin_of<const T>(a.k, keys.batch, keys.kv_head) + keys.j0 * a.k.row;
#pragma unroll
        for (int p = 0; p < S::kPanels; ++p)
          load_panel<KeyPanel, S>(thread, shared + S::kKeysAt + slot * S::kKeyTile + p * KeyPanel::kBytes, from + p * 64,
                                  a.k.row, columns - keys.j0, width - p * 64);
      }
      const int i0 = at.i * S::kRows;
      const uint32_t to = shared + S::kStagesAt + at_stage.stage * S::kStage;
      const T* const q = begin_of<const T>(a.q, keys.batch, at.head) + i0 * a.q.row;
      const T* const g = begin_of<const T>(grads.out, keys.batch, at.head) + i0 * grads.out.row;
#pragma unroll
      for (int p = 0; p < S::kPanels; ++p) {
        load_panel<RowPanel, S>(thread, to + p * RowPanel::kBytes, q + p * 64, a.q.row, rows - i0, width - p * 64);
        load_panel<RowPanel, S>(thread, to + S::kRowTile + p * RowPanel::kBytes, g + p * 64, grads.out.row, rows - i0,
                                value_width - p * 64);
      }
      if (thread == 0) {  // the first row, how many steps follow, and whether it is the first one
        const uint32_t info[4] = {static_cast<uint32_t>(i0), static_cast<uint32_t>(keys.steps - 1 - step),
                                  step == 0, 0};
        mma::store_shared(shared + S::kRowValuesAt + at_stage.stage * S::kRowValues + S::kStepInfo, info);
      }
      if (thread < S::kRows / 2)
        mma::copy_async(shared + S::kRowValuesAt + at_stage.stage * S::kRowValues + thread * 16,
                        room.values + (static_cast<int64_t>(keys.batch) * a.heads + at.head) * room.padded + i0 + thread * 2,
                        true);
      if (step == keys.steps - 1 && thread == 0) next = atomicAdd(room.taken, 1);  // under way with the copies
      finish_copies(signals.full(at_stage.stage));
      at_stage.advance();
      if (step == 0) {
        const int tile = values_loaded % S::kValueTiles, round = values_loaded / S::kValueTiles;
        if (round > 0) hopper::wait_for_phase(signals.values_empty(tile), round - 1);
        const T* const from = begin_of<const T>(a.v, keys.batch, keys.kv_head) + keys.j0 * a.v.row;
#pragma unroll
        for (int p = 0; p < S::kPanels; ++p)
          load_panel<KeyPanel, S>(thread, shared + S::kValuesAt + tile * S::kKeyTile + p * KeyPanel::kBytes,
                                  from + p * 64, a.v.row, columns - keys.j0, value_width - p * 64);
        finish_copies(signals.values_full(tile));
        ++values_loaded;
      }
    }
  }
}

#endif

}  // namespace norch::kernels::cuda
