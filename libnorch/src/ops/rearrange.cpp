#include "norch/ops/rearrange.h"

#include <algorithm>

#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "core/factory.h"
#include "kernels/gather.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/indexing.h"
#include "norch/ops/join.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/index_plan.h"
#include "ops/view_ops.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::record_linear;
using autograd::recording;

// ---- the same elements in another order

Tensor flip(const Tensor& t, Ints dims) {
  uint64_t chosen = 0;
  Shape strides(t.strides());
  int64_t offset = t.storage_offset();
  for (int64_t named : dims) {
    const int64_t d = wrap_dim(named, t.dim());
    NORCH_CHECK(!((chosen >> d) & 1), "dim ", d, " appears multiple times in the list of dims");
    chosen |= uint64_t{1} << d;
    if (t.dim() == 0 || t.numel() == 0) continue;
    offset += (t.sizes()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  Tensor out = new_like(t, t.dtype(), t.device(), MemoryFormat::preserve);
  if (out.numel() > 0) kernels::flip(t.device(), make_plan({out}, {raw_view(t, t.sizes(), strides, offset)}));
  if (recording(t))
    record_linear("FlipBackward0", {t}, {out}, [dims = Shape(dims)](Backward& ctx) { ctx.set(0, flip(ctx.grad(), dims)); });
  return out;
}

Tensor fliplr(const Tensor& t) {
  NORCH_CHECK(t.dim() >= 2, "fliplr: Input must be >= 2-d.");
  return flip(t, {1});
}

Tensor flipud(const Tensor& t) {
  NORCH_CHECK(t.dim() >= 1, "flipud: Input must be >= 1-d.");
  return flip(t, {0});
}

Tensor roll(const Tensor& t, Ints shifts, Ints dims) {
  NORCH_CHECK(!shifts.empty(), "`shifts` required");
  if (dims.empty() && shifts.size() == 1) return reshape(roll(flatten(t), shifts, {0}), t.sizes());
  NORCH_CHECK(shifts.size() == dims.size(), "shifts and dimensions must align. shifts: ", shifts.size(), ", dims:",
              dims.size());
  NORCH_CHECK_INDEX(t.dim() > 0, "roll: Dimension specified as ", dims[0], " but tensor has no dimensions");
  Tensor out = t;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t d = wrap_dim(dims[i], t.dim());
    const int64_t n = t.dim() ? t.sizes()[d] : 1;
    const int64_t shift = n == 0 ? 0 : (shifts[i] % n + n) % n;
    if (shift != 0) out = cat({slice(out, d, n - shift), slice(out, d, 0, n - shift)}, d);
  }
  return out.is_same(t) ? t.clone() : out;
}

Tensor rot90(const Tensor& t, int64_t k, Ints dims) {
  NORCH_CHECK(dims.size() == 2, "expected total rotation dims == 2, but got dims = ", dims.size());
  NORCH_CHECK(t.dim() >= 2, "expected total dims >= 2, but got total dims = ", t.dim());
  const int64_t a = wrap_dim(dims[0], t.dim()), b = wrap_dim(dims[1], t.dim());
  NORCH_CHECK(a != b, "expected rotation dims to be different, but got dim0 = ", dims[0], " and dim1 = ", dims[1]);
  switch ((k % 4 + 4) % 4) {
    case 1: return transpose(flip(t, {b}), a, b);
    case 2: return flip(t, {a, b});
    case 3: return transpose(flip(t, {a}), a, b);
    default: return t.clone();
  }
}

// ---- repeated elements

Tensor repeat(const Tensor& t, Ints repeats) {
  const int64_t extra = static_cast<int64_t>(repeats.size()) - t.dim();
  NORCH_CHECK(extra >= 0, "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
  // Each dim becomes a pair (repeats, size), expanded and joined again.
  Shape pairs, wide, joined;
  for (int64_t i = 0; i < static_cast<int64_t>(repeats.size()); ++i) {
    const int64_t own = i < extra ? 1 : t.sizes()[i - extra];
    NORCH_CHECK(repeats[i] >= 0, "Trying to create tensor with negative dimension ", repeats[i], ": repeats ", repeats);
    int64_t total = 0;
    NORCH_CHECK(!__builtin_mul_overflow(own, repeats[i], &total), "repeat: repeats ", repeats, " overflow");
    joined.push_back(total);
    if (repeats[i] != 1) {
      pairs.push_back(1);
      wide.push_back(repeats[i]);
    }
    pairs.push_back(own);
    wide.push_back(own);
  }
  return reshape(expand(reshape(t, pairs), wide).clone(MemoryFormat::contiguous), joined);
}

Tensor tile(const Tensor& t, Ints reps) {
  Shape full(reps);
  while (static_cast<int64_t>(full.size()) < t.dim()) full.insert(0, 1);
  return repeat(t, full);
}

Tensor repeat_interleave(const Tensor& t, int64_t repeats, std::optional<int64_t> dim) {
  NORCH_CHECK(repeats >= 0, "repeats has to be non-negative, got ", repeats);
  const Tensor from = dim && t.dim() > 0 ? t : flatten(t);
  const int64_t d = dim ? wrap_dim(*dim, from.dim()) : 0;
  Shape wide(from.sizes()), joined(from.sizes());
  wide.insert(d + 1, repeats);
  NORCH_CHECK(!__builtin_mul_overflow(joined[d], repeats, &joined[d]), "repeat_interleave: ", repeats, " overflows");
  return reshape(expand(unsqueeze(from, d + 1), wide).clone(MemoryFormat::contiguous), joined);
}

Tensor repeat_interleave(const Tensor& t, const Tensor& repeats, std::optional<int64_t> dim) {
  NORCH_CHECK(repeats.dtype() == DType::Int64 || repeats.dtype() == DType::Int32,
              "repeats has to be Long or Int tensor, got ", repeats.dtype());
  NORCH_CHECK(repeats.dim() <= 1, "repeat_interleave: repeats must be 0-dim or 1-dim tensor");
  const Tensor from = dim && t.dim() > 0 ? t : flatten(t);
  const int64_t d = dim ? wrap_dim(*dim, from.dim()) : 0;
  if (repeats.numel() == 1) return repeat_interleave(from, repeats.item<int64_t>(), d);
  const int64_t n = from.sizes()[d];
  NORCH_CHECK(repeats.numel() == n, "repeats must have the same size as input along dim, but got repeats.size(0) = ",
              repeats.numel(), " and input.size(", d, ") = ", n);
  // The counts decide the shape, so they are needed on the host anyway.
  const Tensor counts = repeats.to(kCPU, DType::Int64).contiguous();
  const int64_t* count = counts.data<int64_t>();
  int64_t total = 0;
  for (int64_t i = 0; i < n; ++i) {
    NORCH_CHECK(count[i] >= 0, "repeats can not be negative");
    NORCH_CHECK(!__builtin_add_overflow(total, count[i], &total), "repeat_interleave: the counts overflow");
  }
  const Tensor index = new_tensor({total}, DType::Int64, kCPU);
  int64_t* p = index.data<int64_t>();
  for (int64_t i = 0; i < n; ++i) p = std::fill_n(p, count[i], i);
  return index_select(from, d, index);
}

// ---- diagonals

Tensor diag_embed(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2) {
  NORCH_CHECK(t.dim() >= 1, "diag_embed: the tensor must have at least one dim");
  dim1 = wrap_dim(dim1, t.dim() + 1);
  dim2 = wrap_dim(dim2, t.dim() + 1);
  NORCH_CHECK(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  NORCH_CHECK(std::abs(offset) < (int64_t{1} << 40), "diag_embed: offset ", offset, " is too large");
  const int64_t n = t.sizes().back() + std::abs(offset);
  Shape sizes(t.sizes());
  sizes.resize(sizes.size() - 1);
  sizes.insert(std::min(dim1, dim2), n);
  sizes.insert(std::max(dim1, dim2), n);
  return into_zeros("DiagonalBackwardBackward0", t, sizes,
                    [=](const Tensor& x) { return diagonal(x, offset, dim1, dim2); });
}

Tensor diag(const Tensor& t, int64_t diagonal_) {
  NORCH_CHECK(t.dim() == 1 || t.dim() == 2, "diag(): Supports 1D or 2D tensors. Got ", t.dim(), "D");
  return t.dim() == 1 ? diag_embed(t, diagonal_) : diagonal(t, diagonal_).clone();
}

}  // namespace norch
