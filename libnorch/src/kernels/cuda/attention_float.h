// Attention of float32 with the accuracy of float32, on the tensor cores.
#pragma once

#include "kernels/attention.h"

namespace norch::kernels::cuda {

/// The shared memory that a block of threads needs, in bytes, for heads of up to this width.
int float_attention_memory(int64_t width);
void float_attention(const FusedAttention& a);
void float_attention_backward(const FusedAttention& a, const FusedAttentionGradients& grads);

}  // namespace norch::kernels::cuda
