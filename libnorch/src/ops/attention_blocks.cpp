#include "ops/attention_blocks.h"

#include <climits>
#include <optional>
#include <vector>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/attention.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/softmax.h"
#include "norch/ops/view.h"
#include "ops/drop_elements.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::AttentionMatrices;

namespace {

Ints leading(const Tensor& t) { return t.sizes().slice(0, t.sizes().size() - 2); }

}  // namespace

Shape batch_shape(const BlockAttention& a) {
  const char* op = "scaled_dot_product_attention";
  const Shape shape = broadcast_shapes(broadcast_shapes(leading(a.q), leading(a.k), op), leading(a.v), op);
  return a.mask.defined() ? broadcast_shapes(shape, leading(a.mask), op) : shape;
}

Tensor new_matrices(Ints batch, int64_t rows, int64_t width, bool inside, const Tensor& like) {
  Shape sizes(batch);
  sizes.push_back(rows);
  sizes.push_back(width);
  if (!inside || batch.empty()) return new_tensor(sizes, like.dtype(), like.device());
  Shape strides(sizes);
  const size_t n = sizes.size(), heads = n - 3;
  strides[n - 1] = 1;
  strides[heads] = width;
  strides[n - 2] = width * sizes[heads];
  int64_t step = strides[n - 2] * rows;
  for (size_t d = heads; d-- > 0;) {
    strides[d] = step;
    step *= sizes[d];
  }
  return new_strided(sizes, strides, like.dtype(), like.device());
}

bool heads_inside(const Tensor& t) { return t.dim() >= 3 && t.size(-2) > 1 && t.stride(-3) < t.stride(-2); }

AttentionGradients differentiable_gradients(const BlockAttention& a, const Tensor& grad) {
  Shape shape = batch_shape(a);
  shape.push_back(a.q.size(-2));
  shape.push_back(a.q.size(-1));
  const auto drop = [&](const Tensor& t) {
    return a.dropout > 0 ? drop_elements(t, a.state, a.dropout, a.first_weight) : t;
  };
  const Tensor q = expand(a.q, shape) * Scalar(a.scale);
  const Tensor weights = attention_weights(matmul(q, transpose(a.k, -2, -1)), a.mask, a.causal, a.first_row);
  const Tensor dw = softmax_backward(drop(matmul(grad, transpose(a.v, -2, -1))), weights, -1);
  return {matmul(dw, a.k) * Scalar(a.scale), matmul(transpose(dw, -2, -1), q),
          matmul(transpose(drop(weights), -2, -1), grad)};
}

AttentionGradients zero_gradients(const BlockAttention& a) { return {zeros_like(a.q), zeros_like(a.k), zeros_like(a.v)}; }

BlockAttention with_groups_apart(const BlockAttention& a) {
  BlockAttention b = a;
  const int64_t kept = a.k.size(-3), group = a.q.size(-3) / kept;
  b.q = unflatten(a.q, -3, {kept, group});
  b.k = unsqueeze(a.k, -3);
  b.v = unsqueeze(a.v, -3);
  if (a.mask.defined() && a.mask.dim() > 2)
    b.mask = a.mask.size(-3) == 1 ? unsqueeze(a.mask, -3) : unflatten(a.mask, -3, {kept, group});
  return b;
}

namespace {

/// The tensor itself, or a copy, with rows that BLAS takes.
Tensor with_rows(const Tensor& t) {
  const int64_t rows = t.size(-2), width = t.size(-1);
  const bool adjacent = width == 1 || t.stride(-1) == 1, apart = rows == 1 || t.stride(-2) >= width;
  return adjacent && apart && t.stride(-2) <= INT_MAX ? t.detach() : t.detach().contiguous();
}

/// A tensor's matrices, repeated for a batch of that shape.
class Matrices {
 public:
  Matrices(const Tensor& t, Ints batch) : data_(t.data_ptr()), row_(t.stride(-2)), at_(numel_of(batch)) {
    const size_t missing = batch.size() - (t.sizes().size() - 2);
    std::vector<int64_t> index(batch.size());
    int64_t offset = 0;
    for (int64_t& at : at_) {
      at = offset;
      for (size_t d = batch.size(); d-- > 0;) {
        const int64_t step = d < missing || t.sizes()[d - missing] == 1 ? 0 : t.strides()[d - missing];
        offset += step;
        if (++index[d] < batch[d]) break;
        offset -= step * batch[d];
        index[d] = 0;
      }
    }
  }
  /// For BLAS, which wants rows to be no shorter than `width`, a single one too.
  AttentionMatrices of_width(int64_t width) const { return {data_, at_.data(), std::max(row_, width)}; }
  AttentionMatrices get() const { return {data_, at_.data(), row_}; }

 private:
  void* data_;
  int64_t row_;
  std::vector<int64_t> at_;
};

/// What the kernels take; `batch` and the tensors outlive it.
class Call {
 public:
  Call(const BlockAttention& a, Ints batch, const Tensor& out, const Tensor& log_sums)
      : q_(with_rows(a.q)), k_(with_rows(a.k)), v_(with_rows(a.v)), q_at_(q_, batch), k_at_(k_, batch), v_at_(v_, batch),
        out_at_(out, batch) {
    args.dtype = q_.dtype();
    args.batch = numel_of(batch);
    args.rows = q_.size(-2);
    args.columns = k_.size(-2);
    args.width = q_.size(-1);
    args.value_width = v_.size(-1);
    args.scale = a.scale;
    args.q = q_at_.of_width(args.width);
    args.k = k_at_.of_width(args.width);
    args.v = v_at_.of_width(args.value_width);
    args.out = out_at_.of_width(args.value_width);
    if (args.rows >= kManyRows) {
      k_copy_.emplace(a.k, batch);
      args.k_transposed = k_copy_->get();
    }
    args.log_sums = log_sums.data_ptr();
    args.causal = a.causal;
    args.dropout = a.dropout;
    args.state = a.state;
    if (!a.mask.defined()) return;
    mask_at_.emplace(a.mask, batch);
    args.mask = mask_at_->get();
    if (a.mask.size(-2) == 1) args.mask.row = 0;
    args.mask_column = a.mask.size(-1) == 1 ? 0 : a.mask.stride(-1);
    args.mask_is_bool = a.mask.dtype() == DType::Bool;
  }

  void transpose_v(const Tensor& v, Ints batch) {
    if (args.rows < kManyRows) return;
    v_copy_.emplace(v, batch);
    args.v_transposed = v_copy_->get();
  }

  kernels::Attention args;

 private:
  /// From how many rows on a transposed copy pays.
  static constexpr int64_t kManyRows = 32;
  struct Transposed {
    Tensor t;
    Matrices at;
    Transposed(const Tensor& x, Ints batch) : t(transpose(x.detach(), -2, -1).contiguous()), at(t, batch) {}
    AttentionMatrices get() const { return at.of_width(t.size(-1)); }
  };

  Tensor q_, k_, v_;
  Matrices q_at_, k_at_, v_at_, out_at_;
  std::optional<Matrices> mask_at_;
  std::optional<Transposed> k_copy_, v_copy_;
};

AttentionGradients gradients_by_blocks(const BlockAttention& a, const Tensor& grad, const Tensor& out,
                                       const Tensor& log_sums) {
  const Shape batch = batch_shape(a);
  Call call(a, batch, out, log_sums);
  call.transpose_v(a.v, batch);
  const kernels::Attention& args = call.args;
  const Tensor g = with_rows(grad);
  AttentionGradients d{new_matrices(batch, args.rows, args.width, heads_inside(a.q), out),
              new_matrices(batch, args.columns, args.width, heads_inside(a.k), out),
              new_matrices(batch, args.columns, args.value_width, heads_inside(a.v), out)};
  kernels::attention_backward(out.device(), args, Matrices(g, batch).of_width(args.value_width),
                              Matrices(d.q, batch).of_width(args.width), Matrices(d.k, batch).of_width(args.width),
                              Matrices(d.v, batch).of_width(args.value_width));
  return d;
}

}  // namespace

Tensor block_attention(const BlockAttention& a) {
  const Shape batch = batch_shape(a);
  // Two dims and more of batch and heads: the layout in which PyTorch's own kernel leaves them.
  const Tensor out = new_matrices(batch, a.q.size(-2), a.v.size(-1), batch.size() >= 2, a.q);
  const Tensor log_sums = new_tensor({numel_of(batch), a.q.size(-2)}, a.q.dtype(), a.q.device());
  if (out.numel() > 0) kernels::attention(out.device(), Call(a, batch, out, log_sums).args);
  if (recording(a.q, a.k, a.v)) {
    record("ScaledDotProductFlashAttentionForCpuBackward0", {a.q, a.k, a.v}, {out},
           [q = save(a.q), k = save(a.k), v = save(a.v), mask = a.mask.defined() ? save(a.mask) : autograd::SavedTensor(),
            out = save_output(out), log_sums, causal = a.causal, scale = a.scale, dropout = a.dropout,
            state = a.state](Backward& ctx) {
             const BlockAttention a{ctx.get(q), ctx.get(k), ctx.get(v), mask.defined() ? ctx.get(mask) : Tensor(),
                                    causal, scale, dropout, state};
             const AttentionGradients d = ctx.grad().numel() == 0 ? zero_gradients(a)
                                          : autograd::grad_enabled()
                                              ? differentiable_gradients(a, ctx.grad())
                                              : gradients_by_blocks(a, ctx.grad(), ctx.get(out), log_sums);
             if (ctx.needs(0)) ctx.set(0, d.q);
             if (ctx.needs(1)) ctx.set(1, d.k);
             if (ctx.needs(2)) ctx.set(2, d.v);
           });
  }
  return out;
}

}  // namespace norch
