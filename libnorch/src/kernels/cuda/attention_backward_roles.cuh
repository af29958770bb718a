// What the other warps of attention_backward_sm90a.cuh do while two warpgroups multiply: two of them load, and a thread of
// a third keeps the order in which blocks add to the gradient of q. They tell each other by barriers in shared memory.
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

/// Of a block of threads, the barriers and two tickets, in turn those of its blocks of keys.
template <class S>
struct Signals {
  static constexpr int kBytes = 128;
  uint32_t at;

  __device__ __forceinline__ uint32_t ticket(int slot) const { return at + kBytes - 8 + slot * 4; }
  /// The ticket is there; those who need it are done with it and with the keys.
  __device__ __forceinline__ uint32_t taken(int slot) const { return at + slot * 8; }
  __device__ __forceinline__ uint32_t done(int slot) const { return at + 16 + slot * 8; }
  /// The values are there, or no longer needed; so the rows of a step.
  __device__ __forceinline__ uint32_t values_full() const { return at + 32; }
  __device__ __forceinline__ uint32_t values_empty() const { return at + 40; }
  __device__ __forceinline__ uint32_t full(int stage) const { return at + 48 + stage * 8; }
  __device__ __forceinline__ uint32_t empty(int stage) const { return at + 48 + (S::kStages + stage) * 8; }
  /// Of the gradient of q: it lies in shared memory (or has been added), that is free again, it is the block's turn.
  __device__ __forceinline__ uint32_t ready() const { return at + 48 + S::kStages * 16; }
  __device__ __forceinline__ uint32_t read() const { return ready() + 8; }
  __device__ __forceinline__ uint32_t turn() const { return ready() + 16; }
  static_assert(48 + S::kStages * 16 + 24 <= kBytes - 8);

  __device__ __forceinline__ void make() const {
    constexpr int kWarps = S::kWorkers / 32;
    for (int i = 0; i < 2; ++i) {
      hopper::make_barrier(taken(i), 1);
      hopper::make_barrier(done(i), kWarps + 1);
    }
    hopper::make_barrier(values_full(), S::kLoaders);
    hopper::make_barrier(values_empty(), kWarps);
    for (int i = 0; i < S::kStages; ++i) {
      hopper::make_barrier(full(i), S::kLoaders);
      hopper::make_barrier(empty(i), kWarps);
    }
    hopper::make_barrier(ready(), kWarps);
    hopper::make_barrier(read(), 1);
    hopper::make_barrier(turn(), 1);
  }
};

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
  const FusedAttention& a = call.a;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns);
  const int width = static_cast<int>(a.width), value_width = static_cast<int>(a.value_width);
  Stages<S> at_stage;
  int values_loaded = 0, next = 0;
  if (thread == 0) next = atomicAdd(room.taken, 1);
  for (uint32_t item = 0;; ++item) {
    const int slot = item % 2;
    if (thread == 0) {
      if (item >= 2) hopper::wait_for_phase(signals.done(slot), item / 2 - 1);
      mma::store_shared(signals.ticket(slot), static_cast<uint32_t>(next));
      hopper::arrive(signals.taken(slot));
    }
    hopper::wait_for_phase(signals.taken(slot), item / 2);
    const int ticket = hopper::load_shared(signals.ticket(slot));
    hopper::sync_threads<2, S::kLoaders>();
    if (ticket >= range.total) return;
    const KeyBlock<S::kUpwards> keys = KeyBlock<S::kUpwards>::template of<S>(call, room, ticket, range.side_by_side);
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
      if (thread < S::kRowValues / 16)
        mma::copy_async(shared + S::kRowValuesAt + at_stage.stage * S::kRowValues + thread * 16,
                        room.values + (static_cast<int64_t>(keys.batch) * a.heads + at.head) * room.padded + i0 + thread * 2,
                        true);
      if (step == keys.steps - 1 && thread == 0) next = atomicAdd(room.taken, 1);  // under way with the copies
      finish_copies(signals.full(at_stage.stage));
      at_stage.advance();
      if (step == 0) {
        if (values_loaded > 0) hopper::wait_for_phase(signals.values_empty(), values_loaded - 1);
        const T* const from = begin_of<const T>(a.v, keys.batch, keys.kv_head) + keys.j0 * a.v.row;
#pragma unroll
        for (int p = 0; p < S::kPanels; ++p)
          load_panel<KeyPanel, S>(thread, shared + S::kValuesAt + p * KeyPanel::kBytes, from + p * 64, a.v.row,
                                  columns - keys.j0, value_width - p * 64);
        finish_copies(signals.values_full());
        ++values_loaded;
      }
    }
  }
}

/// The part of the thread that keeps the order. For every step it waits for the block's turn, has the gradient of q added
/// by the hardware, or, of the last keys, by those who made it, and lets the next block of keys add.
template <class S>
__device__ __forceinline__ void keep_order(const AttentionCall& call, const BackwardRoom& room, const TicketRange& range,
                                           uint32_t shared, const Signals<S>& signals) {
  constexpr int kBytes = S::kRows * S::kWidth * 4;
  int done = 0;
  for (uint32_t item = 0;; ++item) {
    hopper::wait_for_phase(signals.taken(item % 2), item / 2);
    const int ticket = hopper::load_shared(signals.ticket(item % 2));
    if (ticket >= range.total) return;
    hopper::arrive(signals.done(item % 2));
    const KeyBlock<S::kUpwards> keys = KeyBlock<S::kUpwards>::template of<S>(call, room, ticket, range.side_by_side);
    StepRows<S::kUpwards> now(keys);
    int seen = 0;  // steps that the block of keys before has done
    for (int step = 0; step < keys.steps; ++step, now.advance(keys), ++done) {
      const bool starts = now.starts(keys), ends = now.ends(keys);
      if (!starts)
        while (seen < now.needed(keys)) seen = mma::observe(keys.before);
      if (ends) hopper::arrive(signals.turn());
      hopper::wait_for_phase(signals.ready(), done);
      if (!ends) {
        const int64_t tile = (static_cast<int64_t>(keys.batch) * call.a.heads + now.head) * keys.row_blocks + now.i;
        float* const to = room.grad_q + tile * (S::kRows * S::kWidth);
        hopper::join_proxies();
        if (starts)
          hopper::store_in_memory(to, shared + S::kGradQAt, kBytes);
        else
          hopper::add_in_memory(to, shared + S::kGradQAt, kBytes);
        hopper::wait_for_reads();
        hopper::arrive(signals.read());
        hopper::wait_for_stores();
        hopper::join_proxies();
      }
      mma::publish(keys.progress, step + 1);
    }
  }
}

#endif

}  // namespace norch::kernels::cuda
