// Attention in blocks, on the CPU: the matrix of scores never exists as a whole.
#pragma once

#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch {

/// softmax(scale * q k^T + mask) v with dropout of the weights, of operands whose leading dims broadcast. Float or double
/// CPU tensors without size 0 in their last two dims. The mask, if there is one, is bool or of the same dtype, has two
/// dims or more, and takes no gradient.
struct BlockAttention {
  Tensor q, k, v, mask;
  bool causal = false;
  double scale = 1, dropout = 0;
  PhiloxState state{};
};
Tensor block_attention(const BlockAttention& a);

/// softmax(scores + mask) along the last dim; a row that is masked as a whole gives zeros. The mask may be undefined.
Tensor attention_weights(Tensor scores, const Tensor& mask, bool causal);

}  // namespace norch
