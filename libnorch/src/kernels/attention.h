// Attention without its matrix of scores.
#pragma once

#include "kernels/cpu_kernel.h"
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
  /// Bools, or numbers that are added; element (i, j) of number b is mask.data[mask.at[b] + i * mask.row + j * mask_column].
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
NORCH_CPU_KERNEL(attention_backward, void(const Attention& a, const AttentionMatrices& grad, const AttentionMatrices& grad_q,
                                          const AttentionMatrices& grad_k, const AttentionMatrices& grad_v))

}  // namespace norch::kernels
