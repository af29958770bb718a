#include "kernels/cuda/attention_float_backward.cuh"

#include "kernels/cuda/attention_float.h"

namespace norch::kernels::cuda {

namespace {

using Narrow = FloatBackwardShape<64, 1, 32, 4, 2, 2>;
using Wide = FloatBackwardShape<128, 1, 32, 8, 1, 2>;

template <class S>
void run(const FusedAttention& a, const FusedAttentionGradients& grads) {
  if (a.mask.data || a.dropout > 0)
    launch_float_attention_backward<S, true>(a, grads);
  else
    launch_float_attention_backward<S, false>(a, grads);
}

}  // namespace

int float_attention_memory(int64_t width) { return width <= 64 ? Narrow::kShared : Wide::kShared; }

void float_attention_backward(const FusedAttention& a, const FusedAttentionGradients& grads) {
  if (std::max(a.width, a.value_width) <= 64)
    run<Narrow>(a, grads);
  else
    run<Wide>(a, grads);
}

}  // namespace norch::kernels::cuda
