// Attention without its matrix of scores.
#pragma once

#include "kernels/cpu_kernel.h"
#include "kernels/cuda_kernel.h"
#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Matrices of a batch: row i of number b begins at data + (at[b] + i * row) elements; the columns are adjacent.
struct AttentionMatrices {
  void* data = nullptr;
  const int64_t* at = nullptr;
  int64_t row = 0;
};

/// softmax(scale * q k^T + mask) v for each of a batch of q (rows x width), k (columns x width) and v (columns x
/// value_width), all of one dtype, float or double; no size is 0.
struct Attention {
  DType dtype = DType::Float32;
  int64_t batch = 0, rows = 0, columns = 0, width = 0, value_width = 0;
  double scale = 1;
  AttentionMatrices q, k, v, out;
  /// k and v (for the backward pass) with rows for columns, where that pays for a copy: BLAS multiplies them faster.
  AttentionMatrices k_transposed, v_transposed;
  /// Logarithm of the sum of a row's exponentials, adjacent, (batch, rows); inf for a row that is masked as a whole.
  void* log_sums = nullptr;
  bool causal = false;  // row i sees columns up to i
  /// Bools, or numbers that are added; element (i, j) of number b is
  /// mask.data[mask.at[b] + i * mask.row + j * mask_column].
  AttentionMatrices mask;
  int64_t mask_column = 0;
  bool mask_is_bool = false;
  /// Weight (b, i, j) is dropped as element (b * rows + i) * columns + j of a tensor is by the kernel `dropout`.
  double dropout = 0;
  PhiloxState state{};
};

/// A row that is masked as a whole gives zeros.
NORCH_CPU_KERNEL(attention, void(const Attention& a))
/// The gradients of q, k and v from that of out, with `out` and `log_sums` as `attention` left them.
NORCH_CPU_KERNEL(attention_backward,
                 void(const Attention& a, const AttentionMatrices& grad, const AttentionMatrices& grad_q,
                      const AttentionMatrices& grad_k, const AttentionMatrices& grad_v))

/// A tensor (batch, heads, rows, columns) where it lies: element (b, h, i, j) is data[b * batch + h * head + i * row + j].
struct AttentionTensor {
  void* data = nullptr;
  int64_t batch = 0, head = 0, row = 0;
};

/// Attention on CUDA of 16-bit floats or float32: softmax(scale * q k^T + mask) v for each batch and head of q (rows x
/// width), k (columns x width) and v (columns x value_width). Head h meets key head h / (heads / kv_heads). No size is
/// 0; widths, strides and the addresses of q, k, v and out are multiples of 8 elements; scale is positive.
struct FusedAttention {
  DType dtype = DType::BFloat16;
  int64_t batch = 0, heads = 0, kv_heads = 0, rows = 0, columns = 0, width = 0, value_width = 0;
  double scale = 1;
  bool causal = false;  // row i sees columns up to i
  AttentionTensor q, k, v, out;
  /// Logarithm of the sum of a row's exponentials, (batch, heads, rows), adjacent: to the base e, of float32 to the
  /// base 2. inf for a row that is masked as a whole, whose result is 0.
  float* log_sums = nullptr;
  /// Bools, or numbers of the dtype that are added; strides may be 0. Of no mask, the data is null.
  AttentionTensor mask;
  int64_t mask_column = 0;
  bool mask_is_bool = false;
  /// Weight (b, h, i, j) is dropped as element ((b * heads + h) * rows + i) * columns + j of a tensor is by `dropout`.
  double dropout = 0;
  PhiloxState state{};
};

/// Of the result, and what the gradients of q (batch, heads, rows, width), k and v (batch, kv_heads, columns, ...) are
/// written to. Aligned as q, k and v are.
struct FusedAttentionGradients {
  AttentionTensor out, q, k, v;
};

/// The widest q, k and v that the kernels take.
inline constexpr int64_t kFusedAttentionWidth = 128;
/// Whether the current device has the instructions for them, and the shared memory.
NORCH_CUDA_KERNEL(has_fused_attention, bool(DType dtype, int64_t width))
NORCH_CUDA_KERNEL(fused_attention, void(const FusedAttention& a))
/// With `out` and `log_sums` as fused_attention left them.
NORCH_CUDA_KERNEL(fused_attention_backward, void(const FusedAttention& a, const FusedAttentionGradients& grads))

}  // namespace norch::kernels

namespace norch::cuda {

/// Attention through cuDNN, on the current device and stream. False, having done nothing, where cuDNN is missing or has
/// no plan for it that gives the same bits every time; the caller's own kernel does it then.
bool cudnn_attention(const kernels::FusedAttention& a);

}  // namespace norch::cuda
