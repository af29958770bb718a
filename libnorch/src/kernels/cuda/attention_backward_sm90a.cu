#include <cmath>

#include "kernels/cuda/attention_backward_sm90a.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class S>
void run(const FusedAttention& a, const FusedAttentionGradients& grads, const BackwardWork& work, int side_by_side) {
  const int blocks = static_cast<int>(blocks_for(work.blocks, 1));
  launch(attention_backward_sm90a_kernel<T, S>, std::min(blocks, limits().multiprocessors), S::kThreads, S::kShared,
         AttentionCall(a), grads, work.room, TicketRange{blocks, side_by_side});
}

template <class T, int width, int rows>
void run(const FusedAttention& a, const FusedAttentionGradients& grads) {
  using Up = HopperShape<width, rows, true>;
  const BackwardWork work(a, rows, Up::kKeys, width);
  launch_attention_values<T, width>(a, grads.out, work);
  const int64_t matrices = a.batch * a.kv_heads, key_blocks = work.blocks / matrices, row_blocks = work.room.padded / rows;
  const int64_t unseen = a.causal ? std::min(row_blocks, key_blocks * Up::kKeys / rows) : 0;
  const double group = a.heads / a.kv_heads, processors = limits().multiprocessors;
  const double steps = group * (row_blocks - unseen * 0.5);  // of a block of keys
  // Of causal attention the first keys have the most work: from them on, all multiprocessors end together. From the last on,
  // no block ever waits, and fewer matrices share the cache. The tail is what is done while some have nothing to do.
  const double tail = 0.5 * group * row_blocks * processors / (steps * work.blocks);
  if (a.causal && width > 64 && tail < 0.025) return run<T, HopperShape<width, rows, false>>(a, grads, work, 1);
  // A block of keys begins some steps after the one that adds before it.
  const double lag = a.causal ? 2.5 : 2;
  const int64_t side_by_side = std::clamp<int64_t>(std::llround(lag * processors / steps), 1, matrices);
  run<T, Up>(a, grads, work, static_cast<int>(side_by_side));
}

template <class T>
void run(const FusedAttention& a, const FusedAttentionGradients& grads) {
  if (std::max(a.width, a.value_width) <= 64)
    run<T, 64, 128>(a, grads);
  else
    run<T, 128, 64>(a, grads);
}

}  // namespace

void attention_backward_sm90a(const FusedAttention& a, const FusedAttentionGradients& grads) {
  if (a.dtype == DType::BFloat16)
    run<BFloat16>(a, grads);
  else
    run<Half>(a, grads);
}

}  // namespace norch::kernels::cuda
