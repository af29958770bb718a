// Attention whose matrix of scores never exists as a whole.
#pragma once

#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch {

/// softmax(scale * q k^T + mask) v with dropout of the weights, of operands whose leading dims broadcast, without size
/// 0 in their last two dims. The mask, if there is one, is bool or of the same dtype, and takes no gradient.
struct BlockAttention {
  Tensor q, k, v, mask;
  bool causal = false;
  double scale = 1, dropout = 0;
  PhiloxState state{};
  // Of a part of the rows: which row the first of q is, for causality, and which weight its first is, for dropout.
  int64_t first_row = 0, first_weight = 0;
};
/// On the CPU, of float32 or float64, in one pass over blocks of scores. The mask has two dims or more.
Tensor block_attention(const BlockAttention& a);
/// On any device, of any floating-point dtype, in operations on as many rows at a time as a bounded part of the scores
/// has. The mask has two dims or more.
Tensor chunked_attention(const BlockAttention& a);

/// Whether fused_attention takes these operands: CUDA, 16-bit floats or float32, heads of up to 128.
bool takes_fused_attention(const BlockAttention& a);
/// On CUDA, in one kernel. With `groups`, dim -3 of q are heads of which as many neighbours as need be share one of k
/// and v.
Tensor fused_attention(const BlockAttention& a, bool groups);

/// a.k and a.v serve groups of the heads of a.q (dim -3): the same attention of operands that broadcast, whose result has
/// the heads in two dims, -4 and -3.
BlockAttention with_groups_apart(const BlockAttention& a);

/// softmax(scores + mask) along the last dim, which may write to the scores; a row that is masked as a whole gives
/// zeros. The mask may be undefined.
Tensor attention_weights(Tensor scores, const Tensor& mask, bool causal, int64_t first_row = 0);

/// The leading dims of the result.
Shape batch_shape(const BlockAttention& a);
/// (batch..., rows, width); with `inside`, the last dim of the batch, the heads, lies between the rows and the columns in
/// memory, as in what linear layers give.
Tensor new_matrices(Ints batch, int64_t rows, int64_t width, bool inside, const Tensor& like);
bool heads_inside(const Tensor& t);

struct AttentionGradients {
  Tensor q, k, v;
};
/// In operations that can be differentiated, with the whole matrix of weights.
AttentionGradients differentiable_gradients(const BlockAttention& a, const Tensor& grad);
/// Of a result without elements.
AttentionGradients zero_gradients(const BlockAttention& a);

}  // namespace norch
