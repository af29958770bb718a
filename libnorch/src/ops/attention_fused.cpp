// Attention by CUDA's fused kernels.
#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/attention.h"
#include "norch/ops/copy.h"
#include "norch/ops/fold.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/attention_blocks.h"
#include "ops/parts.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using kernels::AttentionTensor;
using kernels::FusedAttention;

namespace {

/// What a row's columns are a multiple of.
constexpr int64_t kChunk = 8;

/// The leading dims of a call's operands: the batch, and the heads of q, k and v.
struct Heads {
  Shape batch, q_leading, k_leading;  // the leading dims are the batch and the heads, or none if no operand has any
  int64_t q = 1, k = 1;

  Heads(const BlockAttention& a, bool groups) {
    BlockAttention one = a;
    if (groups) {
      one.k = narrow(a.k.detach(), -3, 0, 1);
      one.v = narrow(a.v.detach(), -3, 0, 1);
    }
    q_leading = batch_shape(one);
    if (q_leading.empty()) return;
    k_leading = q_leading;
    batch = Shape(Ints(q_leading).slice(0, q_leading.size() - 1));
    q = q_leading.back();
    k = k_leading.back() = groups ? a.k.size(-3) : q;
  }

  /// A view of (batch, heads, rows, columns), or a copy where no view has those dims.
  Tensor four_dims(const Tensor& t, int64_t heads, int64_t rows, int64_t columns) const {
    Shape shape(batch);
    for (const int64_t n : {heads, rows, columns}) shape.push_back(n);
    return reshape(expand(t.detach(), shape), {numel_of(batch), heads, rows, columns});
  }
};

AttentionTensor place_of(const Tensor& t) {
  const auto step = [&](int64_t dim) { return t.size(dim) == 1 ? 0 : t.stride(dim); };
  return {t.data_ptr(), step(0), step(1), step(2)};
}

bool is_aligned(const Tensor& t) {
  const AttentionTensor at = place_of(t);
  return t.stride(3) == 1 && reinterpret_cast<uintptr_t>(at.data) % 16 == 0 && at.batch % kChunk == 0 &&
         at.head % kChunk == 0 && at.row % kChunk == 0;
}
/// The tensor itself, or a copy, as the kernels take it.
Tensor aligned(const Tensor& t) { return is_aligned(t) ? t : t.clone(MemoryFormat::contiguous); }

/// A call of the kernels; its tensors live as long as this.
class Call {
 public:
  Call(const BlockAttention& a, const Heads& heads, const Tensor& out, const Tensor& log_sums)
      : q_(aligned(rows_of(heads, a.q, heads.q))), k_(aligned(rows_of(heads, a.k, heads.k))),
        v_(aligned(rows_of(heads, a.v, heads.k))) {
    args.dtype = a.q.dtype();
    args.batch = numel_of(heads.batch);
    args.heads = heads.q;
    args.kv_heads = heads.k;
    args.rows = a.q.size(-2);
    args.columns = a.k.size(-2);
    args.width = a.q.size(-1);
    args.value_width = a.v.size(-1);
    args.scale = a.scale;
    args.causal = a.causal;
    args.q = place_of(q_);
    args.k = place_of(k_);
    args.v = place_of(v_);
    args.out = place_of(rows_of(heads, out, heads.q));
    args.log_sums = static_cast<float*>(log_sums.data_ptr());
    args.dropout = a.dropout;
    args.state = a.state;
    if (!a.mask.defined()) return;
    mask_ = heads.four_dims(a.mask, heads.q, args.rows, args.columns);
    args.mask = place_of(mask_);
    args.mask_column = args.columns == 1 ? 0 : mask_.stride(3);
    args.mask_is_bool = mask_.dtype() == DType::Bool;
  }
  static Tensor rows_of(const Heads& heads, const Tensor& t, int64_t count) {
    return heads.four_dims(t, count, t.size(-2), t.size(-1));
  }

  FusedAttention args;

 private:
  Tensor q_, k_, v_, mask_;
};

/// New tensors for the gradients: parts of one if q, k and v are, as where one product made them.
AttentionGradients new_gradients(const BlockAttention& a, const Heads& heads, const Tensor& out) {
  const auto of_whole_shape = [](const Tensor& t, const Shape& leading) {
    return t.dim() == 4 && leading.size() == 2 && t.sizes()[0] == leading[0] && t.sizes()[1] == leading[1];
  };
  if (of_whole_shape(a.q, heads.q_leading) && of_whole_shape(a.k, heads.k_leading) && of_whole_shape(a.v, heads.k_leading)) {
    const TensorList parts = new_parts_like({a.q, a.k, a.v});
    if (!parts.empty() && std::all_of(parts.begin(), parts.end(), is_aligned)) return {parts[0], parts[1], parts[2]};
  }
  return {new_matrices(heads.q_leading, a.q.size(-2), a.q.size(-1), heads_inside(a.q), out),
          new_matrices(heads.k_leading, a.k.size(-2), a.k.size(-1), heads_inside(a.k), out),
          new_matrices(heads.k_leading, a.v.size(-2), a.v.size(-1), heads_inside(a.v), out)};
}

AttentionGradients fused_gradients(const BlockAttention& a, bool groups, const Tensor& grad, const Tensor& out,
                                   const Tensor& log_sums) {
  const Heads heads(a, groups);
  const Call call(a, heads, out, log_sums);
  const Tensor g = aligned(Call::rows_of(heads, grad, heads.q));
  const AttentionGradients d = new_gradients(a, heads, out);
  const kernels::FusedAttentionGradients grads{place_of(g), place_of(Call::rows_of(heads, d.q, heads.q)),
                                               place_of(Call::rows_of(heads, d.k, heads.k)),
                                               place_of(Call::rows_of(heads, d.v, heads.k))};
  kernels::fused_attention_backward(out.device(), call.args, grads);
  return d;
}

AttentionGradients differentiable_gradients(const BlockAttention& a, bool groups, const Tensor& grad) {
  if (!groups) return differentiable_gradients(a, grad);
  const BlockAttention b = with_groups_apart(a);
  const AttentionGradients d = differentiable_gradients(b, unflatten(grad, -3, {b.q.size(-4), b.q.size(-3)}));
  return {flatten(d.q, -4, -3), sum(d.k, {-3}), sum(d.v, {-3})};
}

}  // namespace

bool takes_fused_attention(const BlockAttention& a) {
  const int64_t width = std::max(a.q.size(-1), a.v.size(-1));
  return a.q.is_cuda() && a.q.itemsize() <= 4 && width <= kernels::kFusedAttentionWidth && a.scale > 1e-35 &&
         std::max(a.q.size(-2), a.k.size(-2)) <= INT32_MAX / 2 &&
         kernels::has_fused_attention(a.q.device(), a.q.dtype(), width);
}

Tensor fused_attention(const BlockAttention& a, bool groups) {
  const int64_t width = a.q.size(-1), value_width = a.v.size(-1);
  if (width % kChunk != 0 || value_width % kChunk != 0) {  // zeros beside the columns change nothing
    const auto filled = [](const Tensor& t) { return pad(t, {0, -t.size(-1) & (kChunk - 1)}); };
    BlockAttention b = a;
    b.q = filled(a.q);
    b.k = filled(a.k);
    b.v = filled(a.v);
    return narrow(fused_attention(b, groups), -1, 0, value_width);
  }
  const Heads heads(a, groups);
  const Tensor out = new_matrices(heads.q_leading, a.q.size(-2), value_width, heads.q_leading.size() >= 2, a.q);
  const Tensor log_sums = new_tensor({numel_of(heads.q_leading), a.q.size(-2)}, DType::Float32, a.q.device());
  if (out.numel() > 0) kernels::fused_attention(out.device(), Call(a, heads, out, log_sums).args);
  if (recording(a.q, a.k, a.v)) {
    record("ScaledDotProductFlashAttentionBackward0", {a.q, a.k, a.v}, {out},
           [q = save(a.q), k = save(a.k), v = save(a.v), mask = a.mask.defined() ? save(a.mask) : autograd::SavedTensor(),
            out = save_output(out), log_sums, causal = a.causal, scale = a.scale, dropout = a.dropout, state = a.state,
            groups](Backward& ctx) {
             const BlockAttention a{ctx.get(q), ctx.get(k), ctx.get(v), mask.defined() ? ctx.get(mask) : Tensor(),
                                    causal, scale, dropout, state};
             const AttentionGradients d = ctx.grad().numel() == 0 ? zero_gradients(a)
                                          : autograd::grad_enabled()
                                              ? differentiable_gradients(a, groups, ctx.grad())
                                              : fused_gradients(a, groups, ctx.grad(), ctx.get(out), log_sums);
             if (ctx.needs(0)) ctx.set(0, d.q);
             if (ctx.needs(1)) ctx.set(1, d.k);
             if (ctx.needs(2)) ctx.set(2, d.v);
           });
  }
  return out;
}

}  // namespace norch
