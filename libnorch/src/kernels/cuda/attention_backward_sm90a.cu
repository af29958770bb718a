#include "kernels/cuda/attention_backward_sm90a.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T>
void run(const FusedAttention& a, const FusedAttentionGradients& grads) {
  using Narrow = HopperShape<64, 128>;
  using Wide = HopperShape<128, 64>;
  if (std::max(a.width, a.value_width) <= 64)
    launch_attention_backward<T, Narrow>(attention_backward_sm90a_kernel<T, Narrow>, a, grads);
  else
    launch_attention_backward<T, Wide>(attention_backward_sm90a_kernel<T, Wide>, a, grads);
}

}  // namespace

void attention_backward_sm90a(const FusedAttention& a, const FusedAttentionGradients& grads) {
  if (a.dtype == DType::BFloat16)
    run<BFloat16>(a, grads);
  else
    run<Half>(a, grads);
}

}  // namespace norch::kernels::cuda
