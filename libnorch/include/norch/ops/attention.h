// Attention.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch {

/// softmax(q k^T * scale + mask) v, for q (..., L, E), k (..., S, E) and v (..., S, Ev) of one float dtype, whose leading
/// dims broadcast: (..., L, Ev). scale defaults to 1 / sqrt(E).
///
/// On the CPU it goes block by block, so that the memory grows with L + S, not with L * S, unless the gradient of a mask
/// or second derivatives are wanted.
///
/// attn_mask broadcasts to (..., L, S): bool (true takes part) or a float that is added; a row that is masked as a whole
/// gives zeros. is_causal lets position i see positions up to i, and excludes a mask. dropout_p > 0 drops attention
/// weights, whether training or not. enable_gqa lets the heads (dim -3) of k and v divide those of q: head h of q takes
/// head h / (heads of q / heads of k).
///
///     scaled_dot_product_attention(q, k, v, {}, 0, true);   // (2, 8, 128, 64) each
///
/// \throws Error for shapes, dtypes or options that do not fit.
NORCH_API Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                              const Tensor& attn_mask = {}, double dropout_p = 0,
                                              bool is_causal = false, std::optional<double> scale = {},
                                              bool enable_gqa = false);

}  // namespace norch
