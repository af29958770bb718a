#include "norch/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "autograd/record.h"
#include "kernels/cpu/twister.h"
#include "norch/generator.h"
#include "norch/ops/binary.h"
#include "norch/ops/dropout.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/softmax.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/attention_blocks.h"
#include "ops/autocast.h"

namespace norch {

using autograd::recording;

namespace {

void check_operands(const Tensor& q, const Tensor& k, const Tensor& v) {
  const char* op = "scaled_dot_product_attention";
  NORCH_CHECK_IMPLEMENTED(q.is_floating_point(), op, ": not implemented for ", q.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(q.dtype() == k.dtype() && q.dtype() == v.dtype(), op, ": Expected query, key, and value to have the same "
              "dtype, but got query.dtype: ", q.dtype(), " key.dtype: ", k.dtype(), " and value.dtype: ", v.dtype(),
              " instead.");
  NORCH_CHECK(q.device() == k.device() && q.device() == v.device(), op, ": Expected query, key, and value to have the "
              "same device type, but got query.device: ", q.device(), " key.device: ", k.device(), " and value.device: ",
              v.device(), " instead.");
  NORCH_CHECK(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2, op, ": Expected query, key, and value to all be  at least 2 "
              "dimensional, but got query.dim: ", q.dim(), " key.dim: ", k.dim(), " and value.dim: ", v.dim(),
              " instead.");
  NORCH_CHECK(q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2), op, ": query ", q.sizes(), ", key ", k.sizes(),
              " and value ", v.sizes(), " do not fit: query and key need one size of dim -1, key and value one of dim -2");
}

/// The heads of a tensor (..., heads, rows, columns) in groups: (..., groups, heads / groups * rows, columns).
Tensor grouped(const Tensor& t, int64_t groups) {
  const Ints s = t.sizes();
  const size_t n = s.size();
  Shape shape(s);
  shape[n - 3] = groups;
  shape[n - 2] = s[n - 2] * (s[n - 3] / groups);
  return reshape(t, shape);
}
/// The reverse: (..., heads, rows, columns) again.
Tensor ungrouped(const Tensor& t, int64_t heads, int64_t rows) {
  Shape shape(t.sizes());
  shape[shape.size() - 3] = heads;
  shape[shape.size() - 2] = rows;
  return reshape(t, shape);
}

void check_mask(const Tensor& mask, int64_t rows, int64_t columns, DType dtype) {
  if (!mask.defined()) return;
  const char* op = "scaled_dot_product_attention";
  NORCH_CHECK(mask.dtype() == DType::Bool || mask.is_floating_point(), op, ": Expected attn_mask dtype to be bool or float "
              "or to match query dtype, but got attn_mask.dtype: ", mask.dtype(), " and  query.dtype: ", dtype, " instead.");
  const int64_t n = mask.dim() < 1 ? 1 : mask.size(-1), m = mask.dim() < 2 ? 1 : mask.size(-2);
  NORCH_CHECK((n == 1 || n == columns) && (m == 1 || m == rows), op, ": attn_mask ", mask.sizes(), " can't be expanded to "
              "the ", rows, " queries and ", columns, " keys of the last two dims");
}

}  // namespace

Tensor attention_weights(Tensor scores, const Tensor& mask, bool causal, int64_t first_row) {
  const Tensor never = Tensor::wrap(-static_cast<double>(INFINITY));
  if (causal) {
    const TensorOptions options = TensorOptions(kInt64).device(scores.device());
    const int64_t columns = scores.size(-1), begin = recording(scores) ? 0 : std::min(first_row, columns);
    const Tensor row = unsqueeze(arange(first_row, first_row + scores.size(-2), 1, options), 1);
    const Tensor unseen = gt(arange(begin, columns, 1, options), row);
    if (recording(scores))
      scores = masked_fill(scores, unseen, never);
    else
      masked_fill_(narrow(scores, -1, begin, columns - begin), unseen, never);
  }
  if (!mask.defined()) return softmax(scores, -1);
  scores = mask.dtype() == DType::Bool ? masked_fill(scores, logical_not(mask), never) : add(scores, mask);
  const Tensor blind = all(eq(scores.detach(), never), {-1}, true), zero = Tensor::wrap(0);
  return masked_fill(softmax(masked_fill(scores, blind, zero), -1), blind, zero);
}

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, double dropout_p, bool is_causal,
                                    std::optional<double> scale, bool enable_gqa) {
  NORCH_AUTOCAST(lower, scaled_dot_product_attention, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa);
  check_operands(query, key, value);
  NORCH_CHECK(!attn_mask.defined() || !is_causal, "scaled_dot_product_attention: Explicit attn_mask should not be set when "
              "is_causal=True");
  const int64_t rows = query.size(-2), columns = key.size(-2), heads = query.dim() > 2 ? query.size(-3) : 1;
  check_mask(attn_mask, rows, columns, query.dtype());
  bool groups = false;
  if (enable_gqa) {
    NORCH_CHECK(query.dim() >= 3 && key.dim() >= 3 && value.dim() >= 3 && key.size(-3) > 0 &&
                    heads % key.size(-3) == 0 && key.size(-3) == value.size(-3),
                "scaled_dot_product_attention: Number of heads in key and value must divide the number of heads in query, "
                "but got shapes ", query.sizes(), ", ", key.sizes(), " and ", value.sizes());
    groups = key.size(-3) != heads;
  }
  // Only CUDA's fused kernels keep scores of 16-bit floats in float32.
  const auto in_float32 = [&] {
    const auto wide = [](const Tensor& t) { return t.defined() && t.dtype() != DType::Bool ? t.to(DType::Float32) : t; };
    return scaled_dot_product_attention(wide(query), wide(key), wide(value), wide(attn_mask), dropout_p, is_causal, scale,
                                        enable_gqa)
        .to(query.dtype());
  };
  if (query.is_cpu() && query.itemsize() == 2) return in_float32();
  const double factor = scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
  const Tensor mask = attn_mask.defined() && attn_mask.dtype() != DType::Bool ? attn_mask.to(query.dtype()) : attn_mask;
  const bool sizes = rows > 0 && columns > 0 && query.size(-1) > 0 && value.size(-1) > 0;
  // Where the gradient of a mask is wanted, or a mask of dropout is kept, the whole matrix is made anyway.
  const bool drawn = dropout_p > 0 && (dropout_p >= 1 || kernels::cpu::twister(nullptr, query.device()));
  if (sizes && !drawn && !recording(mask)) {
    BlockAttention a{query, key, value, mask, is_causal, factor, dropout_p};
    if (mask.defined() && mask.dim() < 2) a.mask = reshape(mask, {1, mask.numel()});
    if (dropout_p > 0) a.state = default_generator().next();
    if (takes_fused_attention(a)) return fused_attention(a, groups);
    const auto attend = query.is_cpu() ? block_attention : chunked_attention;
    return groups ? flatten(attend(with_groups_apart(a)), -4, -3) : attend(a);
  }
  if (query.itemsize() == 2) return in_float32();
  // Scaling the query, not the scores: it has fewer elements.
  const Tensor scaled = query * Scalar(factor);
  const Tensor scores = groups ? ungrouped(matmul(grouped(scaled, key.size(-3)), transpose(key, -2, -1)), heads, rows)
                               : matmul(scaled, transpose(key, -2, -1));
  Tensor weights = attention_weights(scores, mask, is_causal);
  if (dropout_p > 0) weights = dropout(weights, dropout_p, true);
  if (!groups) return matmul(weights, value);
  return ungrouped(matmul(grouped(weights, key.size(-3)), value), heads, rows);
}

}  // namespace norch
