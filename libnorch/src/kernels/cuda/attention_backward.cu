#include "kernels/cuda/attention_backward.cuh"
#include "kernels/cuda/attention_float.h"
#include "kernels/cuda/sm90a.h"

#include <atomic>

namespace norch::kernels::cuda {

namespace {

template <class T>
void run(const FusedAttention& a, const FusedAttentionGradients& grads) {
  using Narrow = BackwardShape<64, 2, 32, 4, 2>;
  using Wide = BackwardShape<128, 1, 64, 8, 1>;    // with the shared memory of a data centre's GPU
  using Slender = BackwardShape<128, 1, 32, 4, 2>;  // with that of any
  const bool general = a.mask.data || a.dropout > 0;
  if (std::max(a.width, a.value_width) <= 64)
    launch_attention_backward<T, Narrow>(
        general ? attention_backward_kernel<T, Narrow, true> : attention_backward_kernel<T, Narrow, false>, a, grads);
  else if (general)
    launch_attention_backward<T, Slender>(attention_backward_kernel<T, Slender, true>, a, grads);
  else if (norch::cuda::limits().shared_memory_per_block >= Wide::kShared)
    launch_attention_backward<T, Wide>(attention_backward_kernel<T, Wide, false>, a, grads);
  else
    launch_attention_backward<T, Slender>(attention_backward_kernel<T, Slender, false>, a, grads);
}

}  // namespace

bool has_fused_attention(DType dtype, int64_t width) {
  if (dtype == DType::Float32 && norch::cuda::limits().shared_memory_per_block < float_attention_memory(width)) return false;
  // Not the device's capability: this build may have been made for older ones alone.
  static std::atomic<int> known[norch::cuda::kMaxDevices];  // 0: not yet; 1: no; 2: yes
  std::atomic<int>& answer = known[norch::cuda::current_device()];
  if (answer == 0) {
    cudaFuncAttributes found;
    check(cudaFuncGetAttributes(&found, attention_values_kernel<Half, 64>), "cudaFuncGetAttributes");
    answer = found.ptxVersion >= 80 ? 2 : 1;
  }
  return answer == 2;
}

#if !NORCH_HAVE_SM90A
void attention_backward_sm90a(const FusedAttention&, const FusedAttentionGradients&) {
  NORCH_CHECK(false, "scaled_dot_product_attention: this build has no kernel of compute capability 9.0");
}
#endif

void fused_attention_backward(const FusedAttention& a, const FusedAttentionGradients& grads) {
  if (a.dtype == DType::Float32) return float_attention_backward(a, grads);
  if (!a.mask.data && a.dropout == 0 && has_sm90a()) return attention_backward_sm90a(a, grads);
  if (a.dtype == DType::BFloat16)
    run<BFloat16>(a, grads);
  else
    run<Half>(a, grads);
}

}  // namespace norch::kernels::cuda
