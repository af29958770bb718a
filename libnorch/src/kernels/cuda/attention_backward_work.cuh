// What the kernels of attention's gradients share: the memory of a call, and who takes which part of it in which order.
//
// A block of threads takes a block of keys past the rows of q. Every block of keys adds to the gradient of q, in a fixed
// order, that of the blocks of keys: the block of threads that takes one waits until that of the block before is done with
// the same rows, which it began with earlier: blocks of threads take their work in the order in which they start.
#pragma once

#include <algorithm>

#include "core/factory.h"
#include "kernels/cuda/attention_weights.cuh"

namespace norch::kernels::cuda {

/// What the blocks share, in one allocation: RowValues (batch, heads, rows filled up), the float32 gradients of q, as
/// fragments, and how far each block of threads has come.
struct BackwardRoom {
  RowValues* values;
  float* grad_q;
  int* taken;  // how many tickets have been taken; then (batch, kv_heads, blocks of keys): steps done
  int padded;  // rows, filled up
};

/// Which block of keys of which matrix; none: a negative block.
struct KeyPlace {
  int block, batch, kv_head;
};

/// The block of keys that a block of threads takes, and the rows that see it: the work of the block is a step for each
/// block of rows from `first` on, of each head that shares the keys. Blocks of keys are taken, and add to the gradient
/// of q, `upwards`, the first keys first and of the rows the last, or the other way round.
template <bool upwards>
struct KeyBlock {
  int block, batch, kv_head, j0, row_blocks;
  int first, next_first;  // blocks of rows: the first that sees these keys, and the one that sees the next block of keys
  int first_head, steps;
  int before_first;  // `first` of the block of keys that adds before this one
  int *progress, *before;  // how many steps are done: of this block, and of the one that adds before it

  /// Where ticket number `ticket` is. Blocks of `side` matrices take turns, so that there is time between two of one.
  template <class S>
  static __device__ __forceinline__ KeyPlace place(const AttentionCall& call, int ticket, int side = 1) {
    const FusedAttention& a = call.a;
    const int key_blocks = (static_cast<int>(a.columns) + S::kKeys - 1) / S::kKeys;
    const int kv_heads = static_cast<int>(a.kv_heads), matrices = static_cast<int>(a.batch) * kv_heads;
    const int set = ticket / (side * key_blocks), within = ticket - set * side * key_blocks;
    const int count = side == 1 ? 1 : std::min(side, matrices - set * side), matrix = set * side + within % count;
    return {upwards ? within / count : key_blocks - 1 - within / count, matrix / kv_heads, matrix % kv_heads};
  }
  /// The block of keys there.
  template <class S>
  static __device__ __forceinline__ KeyBlock of(const AttentionCall& call, const BackwardRoom& room,
                                                const KeyPlace& at) {
    const FusedAttention& a = call.a;
    const int key_blocks = (static_cast<int>(a.columns) + S::kKeys - 1) / S::kKeys;
    const int matrix = at.batch * static_cast<int>(a.kv_heads) + at.kv_head;
    KeyBlock k;
    k.row_blocks = room.padded / S::kRows;
    const auto first_of = [&](int b) { return a.causal ? std::min(k.row_blocks, b * S::kKeys / S::kRows) : 0; };
    k.block = at.block;
    k.batch = at.batch;
    k.kv_head = at.kv_head;
    k.j0 = k.block * S::kKeys;
    k.first = first_of(k.block);
    k.next_first = k.block + 1 < key_blocks ? first_of(k.block + 1) : k.row_blocks;
    k.before_first = !upwards ? k.next_first : k.block > 0 ? first_of(k.block - 1) : 0;
    k.first_head = k.kv_head * call.group;
    k.steps = (k.row_blocks - k.first) * call.group;
    k.progress = room.taken + 1 + matrix * key_blocks + k.block;
    k.before = k.progress + (upwards ? -1 : 1);
    return k;
  }
};

/// The rows of a step: those of block `i` of a head.
template <bool upwards>
struct StepRows {
  int head, i;
  __device__ __forceinline__ explicit StepRows(const KeyBlock<upwards>& k)
      : head(k.first_head), i(upwards ? k.row_blocks - 1 : k.first) {}
  __device__ __forceinline__ void advance(const KeyBlock<upwards>& k) {
    if (upwards ? --i < k.first : ++i == k.row_blocks) {
      i = upwards ? k.row_blocks - 1 : k.first;
      ++head;
    }
  }
  /// Whether these keys are the first, or the last, to add to their gradient of q.
  __device__ __forceinline__ bool starts(const KeyBlock<upwards>& k) const {
    return upwards ? k.block == 0 : i < k.next_first;
  }
  __device__ __forceinline__ bool ends(const KeyBlock<upwards>& k) const {
    return upwards ? i < k.next_first : k.block == 0;
  }
  /// The steps that the block which adds before has done once it has added, where this is not the first.
  __device__ __forceinline__ int needed(const KeyBlock<upwards>& k) const {
    const int within = upwards ? k.row_blocks - 1 - i : i - k.before_first;
    return (head - k.first_head) * (k.row_blocks - k.before_first) + within + 1;
  }
};

inline constexpr int kValueThreads = 128;  // of a block; 5 % faster than 256

template <class T, int width>
__global__ void __launch_bounds__(kValueThreads)
    attention_values_kernel(FusedAttention a, AttentionTensor grad, BackwardRoom room, int64_t counters) {
  constexpr int kLanes = width / 8, kRows = kValueThreads / kLanes;  // lanes to a row, rows to a block
  constexpr float kUnit = std::is_same_v<T, float> ? 1 : kLog2e;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kValueThreads + threadIdx.x;
  for (int64_t i = thread; i < counters; i += static_cast<int64_t>(gridDim.x) * kValueThreads) room.taken[i] = 0;
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
  launch(attention_values_kernel<T, width>, blocks_for(work.all_rows, kValueThreads / (width / 8)), kValueThreads, 0, a,
         grad, work.room, work.blocks + 1);
}

/// Runs `kernel`, which takes work of the shape S.
template <class T, class S, class Kernel>
void launch_attention_backward(Kernel* kernel, const FusedAttention& a, const FusedAttentionGradients& grads) {
  const BackwardWork work(a, S::kRows, S::kKeys, S::kWidth);
  launch_attention_values<T, S::kWidth>(a, grads.out, work);
  launch(kernel, blocks_for(work.blocks, 1), S::kThreads, S::kShared, AttentionCall(a), grads, work.room);
}

/// fused_attention_backward of 16-bit floats, without mask and dropout, where has_sm90a().
void attention_backward_sm90a(const FusedAttention& a, const FusedAttentionGradients& grads);

}  // namespace norch::kernels::cuda
