// Attention in operations on a part of the rows at a time.
#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "norch/autograd.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/matmul.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/attention_blocks.h"
#include "ops/autocast.h"
#include "ops/drop_elements.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// How many scores exist at a time, unless a single row has more.
constexpr int64_t kScores = int64_t{1} << 25;

/// (batch..., rows, columns) as (matrices, rows, columns).
Tensor matrices(const Tensor& t, Ints batch) {
  Shape shape(batch);
  shape.push_back(t.size(-2));
  shape.push_back(t.size(-1));
  return reshape(expand(t.detach(), shape), {numel_of(batch), t.size(-2), t.size(-1)});
}
/// The same; one matrix for all stays one.
Tensor mask_matrices(const Tensor& t, Ints batch) {
  if (!t.defined()) return t;
  if (t.numel() == t.size(-2) * t.size(-1)) return reshape(t.detach(), {1, t.size(-2), t.size(-1)});
  return matrices(t, batch);
}

struct Chunk {
  int64_t matrix, matrices, row, rows;
  int64_t columns;  // that the rows see, from the first on
  bool first;       // of the chunks of its matrices
  /// The rows of (matrices, rows, ...) that are of it, and the columns' rows of (matrices, columns, ...).
  Tensor rows_of(const Tensor& t) const { return narrow(matrices_of(t), 1, row, rows); }
  Tensor columns_of(const Tensor& t) const { return narrow(matrices_of(t), 1, 0, columns); }
  Tensor matrices_of(const Tensor& t) const { return narrow(t, 0, matrix, matrices); }
  Tensor mask_of(const Tensor& t) const {
    if (!t.defined()) return t;
    const Tensor own = t.size(0) == 1 ? t : matrices_of(t);
    return t.size(1) == 1 ? own : narrow(own, 1, row, rows);
  }
};

/// Whole matrices, or parts of one. Causal ones, which see half of their scores, go in parts of the rows that leave out
/// most of the other half, the last rows first; not with dropout, whose numbers would not follow one another.
template <class F>
void for_each_chunk(const BlockAttention& a, const F& f) {
  const int64_t matrices = a.q.size(0), rows = a.q.size(1), columns = a.k.size(1);
  constexpr int64_t kFewestRows = 128, kParts = 8;
  const bool cut = a.causal && a.dropout == 0;
  int64_t step = cut ? std::max(kFewestRows, (rows + kParts - 1) / kParts) : rows;
  step = std::clamp<int64_t>(kScores / columns, 1, std::min(step, rows));
  const int64_t together = step < rows && a.dropout > 0 ? 1 : std::max<int64_t>(1, kScores / (step * columns));
  for (int64_t m = 0; m < matrices; m += together)
    for (int64_t end = rows; end > 0; end -= step) {
      const int64_t row = std::max<int64_t>(0, end - step);
      f(Chunk{m, std::min(together, matrices - m), row, end - row, cut ? std::min(columns, end) : columns, end == rows});
    }
}

/// 16-bit floats as float32, so that scores are not rounded to them.
Tensor wide(const Tensor& t) { return t.defined() && t.itemsize() == 2 ? t.to(DType::Float32) : t; }

/// A call's operands as matrices.
struct Operands {
  BlockAttention all;
  Operands(const BlockAttention& a, Ints batch) : all(a) {
    all.q = matrices(a.q, batch);
    all.k = matrices(a.k, batch);
    all.v = matrices(a.v, batch);
    all.mask = mask_matrices(a.mask, batch);
  }
  BlockAttention of(const Chunk& c) const {
    BlockAttention a = all;
    a.q = wide(c.rows_of(all.q));
    a.k = wide(c.columns_of(all.k));
    a.v = wide(c.columns_of(all.v));
    a.mask = wide(c.mask_of(all.mask));
    a.first_row = c.row;
    a.first_weight = (c.matrix * all.q.size(-2) + c.row) * all.k.size(-2);
    return a;
  }
};

AttentionGradients gradients_by_chunks(const BlockAttention& a, const Tensor& grad) {
  const Shape batch = batch_shape(a);
  const Operands operands(a, batch);
  const Tensor g = matrices(grad, batch);
  const auto room = [&](const Tensor& t) {
    Shape shape(batch);
    shape.push_back(t.size(-2));
    shape.push_back(t.size(-1));
    return new_tensor(shape, t.itemsize() == 2 ? DType::Float32 : t.dtype(), t.device());
  };
  AttentionGradients d{room(a.q), room(a.k), room(a.v)};
  const Tensor q = matrices(d.q, batch), k = matrices(d.k, batch), v = matrices(d.v, batch);
  // The sum over the parts of one matrix's rows.
  const auto add = [](const Chunk& c, const Tensor& sums, const Tensor& part) {
    if (!c.first) {
      add_(c.columns_of(sums), part);
      return;
    }
    if (c.columns < sums.size(1)) zero_(c.matrices_of(sums));
    copy_(c.columns_of(sums), part);
  };
  for_each_chunk(operands.all, [&](const Chunk& c) {
    const AttentionGradients part = differentiable_gradients(operands.of(c), wide(c.rows_of(g)));
    copy_(c.rows_of(q), part.q);
    add(c, k, part.k);
    add(c, v, part.v);
  });
  return d;
}

}  // namespace

Tensor chunked_attention(const BlockAttention& a) {
  const Shape batch = batch_shape(a);
  // In the layout of the fused kernels, which the parts of it have not where there are a batch and heads.
  const bool inside = batch.size() >= 2;
  const Tensor out = new_matrices(batch, a.q.size(-2), a.v.size(-1), inside, a.q);
  if (out.numel() > 0) {
    autograd::NoGrad no_grad;
    autocast::Suspend dtypes_stay;
    const Operands operands(a, batch);
    const Tensor parts = inside ? new_tensor(out.sizes(), out.dtype(), out.device()) : out;
    const Tensor to = matrices(parts, batch);
    for_each_chunk(operands.all, [&](const Chunk& c) {
      const BlockAttention b = operands.of(c);
      const Tensor scores = matmul(b.q * Scalar(b.scale), transpose(b.k, -2, -1));
      Tensor weights = attention_weights(scores, b.mask, b.causal, b.first_row);
      if (b.dropout > 0) weights = drop_elements(weights, b.state, b.dropout, b.first_weight);
      copy_(c.rows_of(to), matmul(weights, b.v));
    });
    if (inside) copy_(out, parts);
  }
  if (recording(a.q, a.k, a.v)) {
    record("ScaledDotProductEfficientAttentionBackward0", {a.q, a.k, a.v}, {out},
           [q = save(a.q), k = save(a.k), v = save(a.v), mask = a.mask.defined() ? save(a.mask) : autograd::SavedTensor(),
            causal = a.causal, scale = a.scale, dropout = a.dropout, state = a.state](Backward& ctx) {
             const BlockAttention a{ctx.get(q), ctx.get(k), ctx.get(v), mask.defined() ? ctx.get(mask) : Tensor(),
                                    causal, scale, dropout, state};
             const AttentionGradients d = ctx.grad().numel() == 0    ? zero_gradients(a)
                                          : autograd::grad_enabled() ? differentiable_gradients(a, ctx.grad())
                                                                     : gradients_by_chunks(a, ctx.grad());
             if (ctx.needs(0)) ctx.set(0, d.q);
             if (ctx.needs(1)) ctx.set(1, d.k);
             if (ctx.needs(2)) ctx.set(2, d.v);
           });
  }
  return out;
}

}  // namespace norch
