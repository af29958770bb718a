#include "kernels/cuda/attention_float.h"
#include "kernels/cuda/attention_forward.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class S>
void run(const FusedAttention& a) {
  if (a.mask.data || a.dropout > 0)
    launch_attention<T, S, true>(a);
  else
    launch_attention<T, S, false>(a);
}

template <class T>
void run(const FusedAttention& a) {
  if (std::max(a.width, a.value_width) <= 64)
    run<T, ForwardShape<64, 2, 64, 4, true>>(a);
  else
    run<T, ForwardShape<128, 2, 64, 4, false>>(a);
}

}  // namespace

void fused_attention(const FusedAttention& a) {
  if (a.dtype == DType::Float32) return float_attention(a);
  if (norch::cuda::cudnn_attention(a)) return;
  if (a.dtype == DType::BFloat16)
    run<BFloat16>(a);
  else
    run<Half>(a);
}

}  // namespace norch::kernels::cuda
