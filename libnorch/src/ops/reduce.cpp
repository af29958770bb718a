#include "norch/ops/reduce.h"

#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "core/factory.h"
#include "kernels/reduce.h"
#include "norch/ops.h"
#include "ops/autocast.h"
#include "ops/dtype_views.h"
#include "ops/reduce_common.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::record_linear;
using autograd::recording;
using autograd::save;
using kernels::NormOp;
using kernels::ReduceOp;
using kernels::TestOp;

namespace {

/// Whether a kernel that accumulates in SumType can give `to` straight from `from`.
bool sums_directly(DType from, DType to) {
  if (is_wide_unsigned(from) || is_wide_unsigned(to)) return false;
  if (from == to) return true;
  if (is_integral(from, true)) return to == DType::Int64;
  return to == DType::Float32 && (from == DType::Float16 || from == DType::BFloat16);
}

DType sum_dtype(const Tensor& t, std::optional<DType> dtype) {
  return dtype ? *dtype : is_integral(t.dtype(), true) ? DType::Int64 : t.dtype();
}

/// The backward of sums and means: every element gets the gradient, times a factor.
void record_sum(const char* name, const Tensor& t, const Tensor& out, const ReducedDims& d, double factor) {
  record_linear(name, {t}, {out}, [d, from = Shape(t.sizes()), factor](Backward& ctx) {
    const Tensor g = with_ones(ctx.grad(), d);
    ctx.set(0, expand(factor == 1 ? g : g * Scalar(factor), from));
  });
}

Tensor sum_op(const char* op, const char* node, const Tensor& t, Ints dims, bool keepdim, DType type, bool mean) {
  if (type == DType::Bool) return any(t, dims, keepdim).to(type);
  if (is_wide_unsigned(type)) return sum_op(op, node, t, dims, keepdim, DType::Int64, mean).to(type);
  if (is_complex(type)) {
    // Both parts by themselves: a dim more that is not reduced.
    Shape all(dims);
    for (int64_t& d : all) d = wrap_dim(d, t.dim(), op);
    for (int64_t d = 0; dims.empty() && d < t.dim(); ++d) all.push_back(d);
    const Tensor x = t.to(type);
    const ReducedDims d = reduced_dims(op, x, dims, keepdim);
    const Tensor out = [&] {
      autograd::NoGrad off;
      if (x.dim() == 0) return x.clone();
      return view_as_complex(sum_op(op, node, view_as_real(x), all, keepdim, to_real(type), mean));
    }();
    if (recording(x)) record_sum(node, x, out, d, mean ? 1 / static_cast<double>(d.n) : 1);
    return out;
  }
  if (!sums_directly(t.dtype(), type) || (mean && !t.is_floating_point()))
    return sum_op(op, node, t.to(type), dims, keepdim, type, mean);
  const ReducedDims d = reduced_dims(op, t, dims, keepdim);
  Tensor out = new_tensor(d.out, type, t.device());
  kernels::ReduceArgs args;
  if (mean) args.scale = 1 / static_cast<double>(d.n);
  kernels::reduce(t.device(), ReduceOp::Sum, make_reduce_plan(t, d.mask), out, args);
  if (recording(t)) record_sum(node, t, out, d, args.scale);
  return out;
}

Tensor test_op(const char* op, TestOp kind, const Tensor& t, Ints dims, bool keepdim, DType type) {
  if (t.is_complex()) return test_op(op, kind, ne(t, Tensor::wrap(0)), dims, keepdim, type);
  const ReducedDims d = reduced_dims(op, t, dims, keepdim);
  Tensor out = new_tensor(d.out, type, t.device());
  kernels::reduce_any_all(t.device(), kind, make_reduce_plan(t, d.mask), out);
  return out;
}

/// The tensor with its reduced dims moved to the end and made one.
Tensor reduced_last(const Tensor& t, const ReducedDims& d) {
  Shape order, shape;
  for (int64_t i = 0; i < t.dim(); ++i) {
    if ((d.mask >> i) & 1) continue;
    order.push_back(i);
    shape.push_back(t.sizes()[i]);
  }
  for (int64_t i = 0; i < t.dim(); ++i)
    if ((d.mask >> i) & 1) order.push_back(i);
  shape.push_back(d.n);
  return reshape(permute(t, order), shape);
}

/// By halves: a kernel of its own would be the only one of its kind.
Tensor complex_product(const Tensor& t, const ReducedDims& d) {
  Tensor rows = t.dim() ? reduced_last(t, d) : t;
  if (t.dim() == 0) return rows;
  if (d.n == 0) return reshape(sum(rows, {-1}), d.out) + 1.0;
  for (int64_t n = d.n; n > 1; n = (n + 1) / 2) {
    const int64_t half = n / 2;
    const Tensor product = mul(narrow(rows, -1, 0, half), narrow(rows, -1, half, half));
    rows = n % 2 ? cat({product, narrow(rows, -1, n - 1, 1)}, -1) : product;
  }
  return reshape(rows, d.out);
}

}  // namespace

Tensor sum(const Tensor& t, Ints dims, bool keepdim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32_cuda);
  return sum_op("sum", dims.empty() && !keepdim ? "SumBackward0" : "SumBackward1", t, dims, keepdim, sum_dtype(t, dtype), false);
}

Tensor mean(const Tensor& t, Ints dims, bool keepdim, std::optional<DType> dtype) {
  const DType type = dtype ? *dtype : t.dtype();
  NORCH_CHECK(is_differentiable(type), "mean(): could not infer output dtype. ", dtype ? "Optional" : "Input",
              " dtype must be either a floating point or complex dtype. Got: ", type, "; pass dtype=");
  // Neither the elements nor their sum have to fit into 16 bits.
  if (itemsize(type) == 2 && t.dtype() != type) return mean(t.to(DType::Float32), dims, keepdim, {}).to(type);
  return sum_op("mean", dims.empty() && !keepdim ? "MeanBackward0" : "MeanBackward1", t, dims, keepdim, type, true);
}

Tensor nansum(const Tensor& t, Ints dims, bool keepdim, std::optional<DType> dtype) {
  const DType type = sum_dtype(t, dtype);
  NORCH_CHECK_IMPLEMENTED(!t.is_complex(), "nansum does not support complex inputs");
  if (!t.is_floating_point()) return sum(t, dims, keepdim, type);
  if (!sums_directly(t.dtype(), type)) return nansum(t.to(type), dims, keepdim, type);
  const ReducedDims d = reduced_dims("nansum", t, dims, keepdim);
  Tensor out = new_tensor(d.out, type, t.device());
  kernels::reduce_norm(t.device(), NormOp::NanSum, make_reduce_plan(t, d.mask), out, kernels::ReduceArgs{});
  if (recording(t)) {
    record("NansumBackward0", {t}, {out}, [d, t = save(t)](Backward& ctx) {
      const Tensor x = ctx.get(t).detach();
      ctx.set(0, mul(with_ones(ctx.grad(), d), eq(x, x)));
    });
  }
  return out;
}

Tensor nanmean(const Tensor& t, Ints dims, bool keepdim, std::optional<DType> dtype) {
  NORCH_CHECK(t.is_floating_point(), "nanmean(): expected input to have floating point dtype but got ", t.dtype());
  const Tensor x = t.detach();
  return div(nansum(t, dims, keepdim, dtype), sum(eq(x, x), dims, keepdim));
}

Tensor prod(const Tensor& t, Ints dims, bool keepdim, std::optional<DType> dtype) {
  autocast::widen(dtype, t, autocast::float32);
  const DType type = sum_dtype(t, dtype);
  if (type == DType::Bool) return all(t, dims, keepdim).to(type);
  if (is_complex(type)) return complex_product(t.to(type), reduced_dims("prod", t, dims, keepdim));
  if (is_wide_unsigned(type)) return prod(t, dims, keepdim, DType::Int64).to(type);
  if (!sums_directly(t.dtype(), type)) return prod(t.to(type), dims, keepdim, type);
  const ReducedDims d = reduced_dims("prod", t, dims, keepdim);
  Tensor out = new_tensor(d.out, type, t.device());
  kernels::reduce(t.device(), ReduceOp::Prod, make_reduce_plan(t, d.mask), out, kernels::ReduceArgs{});
  if (recording(t)) {
    // A product is the last of the running products: their backward copes with zeros.
    record(d.out.empty() ? "ProdBackward0" : "ProdBackward1", {t}, {out}, [d, t = save(t)](Backward& ctx) {
      const Tensor x = ctx.get(t);
      const Tensor rows = reduced_last(x, d);
      Shape one(rows.sizes());
      one.back() = 1;
      const Tensor g = prod_backward(reshape(ctx.grad(), one), rows);
      Shape order, moved, inverse(static_cast<size_t>(x.dim()));
      for (int pass = 0; pass < 2; ++pass)
        for (int64_t i = 0; i < x.dim(); ++i)
          if (static_cast<int>((d.mask >> i) & 1) == pass) order.push_back(i);
      for (size_t i = 0; i < order.size(); ++i) {
        inverse[order[i]] = static_cast<int64_t>(i);
        moved.push_back(x.sizes()[order[i]]);
      }
      ctx.set(0, permute(reshape(g, moved), inverse));
    });
  }
  return out;
}

Tensor sum_to_size(const Tensor& t, Ints sizes) { return sum_to_size(t, sizes, {}); }
Tensor sum_to_size(const Tensor& t, Ints sizes, std::optional<DType> dtype) {
  Shape dims;
  const int64_t extra = t.dim() - static_cast<int64_t>(sizes.size());
  NORCH_CHECK(extra >= 0, "sum_to_size: size ", sizes, " is not expandable to size ", t.sizes());
  for (int64_t d = 0; d < t.dim(); ++d) {
    const int64_t want = d < extra ? 1 : sizes[d - extra];
    NORCH_CHECK(want == t.sizes()[d] || want == 1, "sum_to_size: size ", sizes, " is not expandable to size ",
                t.sizes());
    if (d < extra || (want == 1 && t.sizes()[d] != 1)) dims.push_back(d);
  }
  // Integers sum in int64, as in sum; to a 0-d tensor even where there is nothing to sum.
  if (dims.empty()) return sizes.size() == 0 ? sum(t, {}, false, dtype) : t;
  const Tensor out = sum(t, dims, true, dtype);
  return extra ? reshape(out, sizes) : out;
}

Tensor any(const Tensor& t, Ints dims, bool keepdim) {
  return test_op("any", TestOp::Any, t, dims, keepdim, t.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool);
}
Tensor all(const Tensor& t, Ints dims, bool keepdim) {
  return test_op("all", TestOp::All, t, dims, keepdim, t.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool);
}
Tensor count_nonzero(const Tensor& t, Ints dims) {
  return test_op("count_nonzero", TestOp::CountNonzero, t, dims, false, DType::Int64);
}

}  // namespace norch
