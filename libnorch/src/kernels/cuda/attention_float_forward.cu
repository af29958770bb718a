#include "kernels/cuda/attention_float_forward.cuh"

#include "kernels/cuda/attention_float.h"

namespace norch::kernels::cuda {

namespace {

template <class S>
void run(const FusedAttention& a) {
  if (a.mask.data || a.dropout > 0)
    launch_float_attention<S, true>(a);
  else
    launch_float_attention<S, false>(a);
}

}  // namespace

void float_attention(const FusedAttention& a) {
  if (std::max(a.width, a.value_width) <= 64)
    run<FloatForwardShape<64, 2, 32, 4, 2, 2>>(a);
  else
    run<FloatForwardShape<128, 1, 32, 8, 1, 2>>(a);
}

}  // namespace norch::kernels::cuda
